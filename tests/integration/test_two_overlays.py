"""Two stacks of one checkout, by an overlay; variables that reach the pipeline and nothing that it starts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from people import Person, refused, throwaway

NAME = f"overlay-{os.getpid()}"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    folder = tmp_path_factory.mktemp("two")
    made = Person(folder, None)
    (folder / "adaf.second.yaml").write_text(f"name: {NAME}\ndeploy: {{steps: [50]}}\ncache: {{memory_mb: 32}}\n")
    try:
        yield made
    finally:
        made.run("down", "--purge", "--json")
        made.run("down", "--purge", "--json", "--stack=second", "--yes", NAME)


def environment(pid: int) -> dict[str, str]:
    body = Path(f"/proc/{pid}/environ").read_text(errors="replace")
    return dict(pair.split("=", 1) for pair in body.split("\0") if "=" in pair)


def test_two_stacks_of_one_checkout(two: Person) -> None:
    first = two.ok("up")
    second = two.run("deploy", "--canary", "--json", "--stack=second", ADAF_DEPLOY__BAKE="0.5", ADAF_SECRET="planted")
    assert second.code == 0, second.stderr
    assert f"stack {NAME}, runtime local, {two.folder}" in second.stderr.splitlines()[0]
    assert second.document["stack"] == NAME
    assert second.document["url"] != first["url"]

    status = two.run("status", "--json", ADAF_STACK="second").document
    assert (status["stack"], status["release"]) == (NAME, second.document["release"])
    seen = {service["name"]: environment(service["pid"]) for service in status["services"]}
    assert len(seen) >= 5
    for name, variables in seen.items():
        ours = {key for key in variables if key.startswith("ADAF_")}
        assert ours == ({"ADAF_RELEASE", "ADAF_COLOUR"} if name.startswith("web.") else set()), name
    assert (
        two.run("redis", "--stack=second", "--json", "--command=config get maxmemory").document["answer"][1]
        == f"{32 << 20}"
    )
    assert two.run("status", "--json").document["release"] == ""

    assert f"this stops {NAME}" in two.run("down", "--stack=second", "--json").document["error"]
    assert two.run("status", "--json", "--stack=second").document["ok"]


def test_a_variable_is_part_of_what_a_stack_is(two: Person) -> None:
    two.ok("up")
    plan = two.run("up", "--plan", "--json", ADAF_CACHE__MEMORY_MB="48").document
    assert [change[:2] for change in plan["facts"]["changes"] if change[1] != "same"] == [["cache.1", "restart"]]
    said = refused(two.run("up", ADAF_CACHE__MEMORY="48"), 2)
    assert said.startswith('error: ADAF_CACHE__MEMORY: cache/memory: unknown key, did you mean "memory_mb"?')
    assert "there are: second" in refused(two.run("status", "--stack=third"), 2)


def test_what_may_not_be_read_is_told_apart(tmp_path: Path) -> None:
    with throwaway() as user:
        folder = user.home / "checkout"
        folder.mkdir()
        person = Person(folder, user)
        (folder / "adaf.prod.yaml").write_text("deploy: {bake: 1}\n")  # root's
        (folder / "adaf.prod.yaml").chmod(0o600)
        said = refused(person.run("status", "--stack=prod"), 2)
        assert said.startswith(f"error: {folder}/adaf.prod.yaml: cannot be read: Permission denied")
        (folder / "adaf.yaml").chmod(0)
        said = refused(person.run("status"), 2)
        assert said.startswith(f"error: {folder}/adaf.yaml: cannot be read: Permission denied")
        hidden = folder / "hidden"
        hidden.mkdir(mode=0o700)  # root's
        (hidden / "adaf.yaml").write_text("apps: {web: {use: python, path: app}}\n")
        for command in ("status", "plugins", "--list"):
            done = person.run(command, ADAF_CONFIG=str(hidden / "adaf.yaml"))
            assert "Traceback" not in done.stderr
            assert done.code == (2 if command == "status" else 0)
        assert json.loads(person.run("plugins", "--json").stdout)["backends"]
