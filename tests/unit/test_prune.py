"""Prune over fakes: what goes, what never does, and what a kill leaves."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from deploy_world import FAST, World, change, deploy

from adaf_pipeline import journal, lock
from adaf_pipeline.engine import Engine, Result
from adaf_pipeline.errors import ServiceError
from adaf_pipeline.requests import PruneRequest
from adaf_pipeline.roles import Kept
from adaf_pipeline.stack import Stack
from adaf_pipeline.testing.stack import fake_stack
from adaf_pipeline.workflows import tree
from adaf_pipeline.workflows.releases import Releases

DAY = 86400


def prune(stack: Stack) -> Result:
    return Engine(stack).run(PruneRequest())


def planned(stack: Stack) -> dict[str, str]:
    """Path to reason."""
    return {item["path"]: item["why"] for item in Engine(stack).plan(PruneRequest()).facts["items"]}


def put(stack: Stack, name: str, body: str = "x\n", days: float = 0) -> Path:
    path = stack.state / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body)
    if days:
        os.utime(path, (time.time() - days * DAY,) * 2)
    return path


def three(stack: Stack) -> list[str]:
    found = []
    for body in ("one\n", "two\n", "three\n"):
        change(stack, body)
        found.append(str(deploy(stack).document["release"]))
    return found


def built(stack: Stack, release: str, at: float) -> None:
    """A release that was never deployed."""
    put(stack, f"releases/{release}/main.txt")
    Releases(stack.state).keep({"release": release, "inputs": release[0] * 64, "built": at})


def test_a_stack_that_has_nothing_spare_is_left_as_it_is(stack: Stack) -> None:
    three(stack)
    before = tree.files(stack.state)
    result = prune(stack)
    assert result.document["nothing"].startswith("nothing to prune")
    assert result.document["removed"] == [] and result.document["freed"] == 0
    assert set(tree.files(stack.state)) - {f"runs/{result.document['run']}.jsonl"} == set(before)


def test_releases_beyond_keep_go_with_their_records_the_oldest_first(stack: Stack) -> None:
    serving = three(stack)
    for number in range(5):
        built(stack, f"{number}" * 12, at=number + 1)
    assert list(planned(stack)) == [f"releases/{'0' * 12}", f"releases/{'1' * 12}", f"releases/{'2' * 12}"]
    result = prune(stack)
    assert [item["path"] for item in result.document["removed"]] == [f"releases/{n * 12}" for n in "012"]
    assert result.document["freed"] > 0
    releases = Releases(stack.state)
    assert set(releases.all()) == {"3" * 12, "4" * 12, *serving}
    assert not (stack.state / "records" / f"{'0' * 12}.json").exists() and not releases.built_from("0" * 64)
    assert prune(stack).document["nothing"]


def test_releases_that_never_held_go_before_those_to_go_back_to_but_for_the_newest(stack: Stack) -> None:
    three(stack)
    releases = Releases(stack.state)
    for number, outcome in enumerate(("live", "rolled back", "rolled back", "live", "rolled back")):
        built(stack, f"{number}" * 12, at=number + 1)
        releases.note({"task": "deploy", "run": f"{number}", "release": f"{number}" * 12, "outcome": outcome})
    assert releases.beyond(5) == ["1" * 12, "2" * 12, "0" * 12]
    assert releases.beyond(3) == [n * 12 for n in "12034"]


def test_what_serves_what_is_warm_and_what_a_rollback_needs_stay_however_old(tmp_path: Path, world: World) -> None:
    stack = fake_stack(tmp_path, FAST.replace("deploy: {", "deploy: {keep: 2, "))
    world.balancer = stack.balancer  # type: ignore[assignment]
    second = three(stack)[1]
    change(stack, "bad\n")
    world.fails = lambda colour, _number: colour == "green"  # where second was warm
    assert not deploy(stack).document["ok"]
    world.fails = lambda _colour, _number: False
    for number in range(3):
        built(stack, f"{number}" * 12, at=time.time() + number)
    releases = Releases(stack.state)
    assert list(releases.colours()) == ["blue"]
    live = str(releases.colours()["blue"]["release"])
    good = releases.previous_good(live)
    assert good == second != live
    goes = planned(stack)
    assert goes and not {f"releases/{live}", f"releases/{good}"} & set(goes)
    prune(stack)
    assert {live, good} <= set(releases.all())
    assert releases.previous_good(live) == good


def test_old_journals_go_but_neither_young_nor_newest_nor_the_running_one(tmp_path: Path) -> None:
    stack = fake_stack(tmp_path, "retention: {journals: 2, days: 30}\n")
    names = [f"2026010{day}T000000Z-deploy-00aa" for day in range(1, 7)]
    for age, name in zip((90, 80, 10, 60, 50, 40), names, strict=True):
        put(stack, f"runs/{name}.jsonl", days=age)
    put(stack, f"runs/{names[0]}.control")
    with lock.held(stack.state, "deploy", names[1]):
        assert set(planned(stack)) == {f"runs/{names[0]}.jsonl", f"runs/{names[3]}.jsonl", f"runs/{names[0]}.control"}
    prune(stack)  # its own journal is not counted
    left = {path.stem for path in journal.directory(stack.state).glob("*.jsonl")}
    assert left & set(names) == {names[2], names[4], names[5]}
    assert not list(journal.directory(stack.state).glob("*.control"))


def test_what_the_runtime_made_of_a_release_goes_before_its_record(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a release, of a tree without a record, and of a record without a tree."""
    three(stack)
    old, treeless, nameless = "0" * 12, "0123456789ab", "fedcba987654"
    for number in range(3):
        built(stack, f"{number}" * 12, at=number + 1)
    put(stack, f"records/{treeless}.json", "{}")
    put(stack, f"releases/{nameless}/a")
    forgotten: list[str] = []

    def discard(release: str) -> None:
        assert (stack.state / f"records/{release}.json").exists() or (stack.state / f"releases/{release}").exists()
        forgotten.append(release)

    monkeypatch.setattr(stack.runtime, "discard", discard)
    assert prune(stack).document["ok"]
    assert sorted(forgotten) == sorted([old, treeless, nameless])


def test_a_release_that_the_runtime_cannot_forget_stays(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no deploy fails of it."""

    def discard(_release: str) -> None:
        raise ServiceError("the engine does not answer", "start it")

    three(stack)
    for number in range(3):
        built(stack, f"{number}" * 12, at=number + 1)
    monkeypatch.setattr(stack.runtime, "discard", discard)
    result = prune(stack)
    assert str(result.document["error"]).endswith(f"{'0' * 12}: the engine does not answer"), result.document
    change(stack, "four\n")
    assert deploy(stack).document["ok"]
    assert "0" * 12 in Releases(stack.state).all()


def test_what_killed_runs_left_goes_and_what_is_not_ours_stays(stack: Stack, tmp_path: Path) -> None:
    release = deploy(stack).document["release"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    left = [
        "releases/.gone-0123456789ab-1/a",
        "releases/fedcba987654/a",  # renamed to its place, and killed before its record was written
        "builds/web/output/a",
        "builds/old-app/work/a",
        "records/.0123.json.77",
        "records/0123456789ab.json",
        f"inputs/{'e' * 64}",
        ".colours.json.123",
    ]
    ours = ["notes.txt", "releases/backup/a", "runs/my.jsonl", "builds/web/mine", "builds/other/stuff", "inputs/readme"]
    for name in (*left, *ours):
        put(stack, name, '"0123456789ab"')
    (stack.state / "builds/old-app/work/link").symlink_to(elsewhere)
    (stack.state / "releases/aaaaaaaaaaaa").symlink_to(elsewhere)
    (stack.state / "runs/20260101T000000Z-up-00aa.control").symlink_to(elsewhere / "precious")
    result = prune(stack)
    assert result.document["ok"], result.document
    for name in left:
        assert not (stack.state / name).exists(), name
    for name in ours:
        assert (stack.state / name).exists(), name
    assert (stack.state / "releases/aaaaaaaaaaaa").is_symlink() and (elsewhere / "precious").exists()
    strange = set(result.document["strange"])
    assert {"notes.txt", "releases/backup", "runs/my.jsonl", "builds/web/mine", "builds/other"} <= strange
    assert {"inputs/readme", "releases/aaaaaaaaaaaa", "runs/20260101T000000Z-up-00aa.control"} <= strange
    assert Releases(stack.state).all() == [release]
    assert prune(stack).document["removed"] == []


def test_a_folder_that_was_moved_elsewhere_is_its_owner_s_to_clean(stack: Stack, tmp_path: Path) -> None:
    put(stack, "runs/20260101T000000Z-up-00aa.control")
    (stack.state / "runs").rename(tmp_path / "runs")
    (stack.state / "runs").symlink_to(tmp_path / "runs")
    assert planned(stack) == {}
    assert "runs" in prune(stack).document["strange"]


def test_while_another_run_works_the_plan_leaves_what_it_makes(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    three(stack)
    for name in ("builds/web/output/a", "releases/fedcba987654/a", "releases/.gone-x-1/a"):
        put(stack, name)
    run = "20260101T000000Z-deploy-00aa"
    put(stack, f"runs/{run}.jsonl", json.dumps({"data": {"output": {"release": "fedcba987654"}}}))
    owner = {"pid": os.getpid() + 1, "run": run, "task": "deploy", "who": "somebody", "since": 0}
    monkeypatch.setattr(lock, "owner", lambda _state: owner)
    assert planned(stack) == {}
    monkeypatch.undo()
    assert len(planned(stack)) == 3


def test_what_a_backend_says_is_spare_goes_but_never_data(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    data, log, used = (put(stack, name) for name in ("volumes/old.1/a", "logs/old.1/current", "logs/web.1/current"))

    def kept() -> list[Kept]:
        found: list[Any] = [("data", data.parent, "no such service"), ("logs", log.parent, "no such service")]
        found += [("logs", used.parent, ""), ("records", stack.state / "volumes", "")]
        outside = Kept("logs", "evil", stack.checkout, "a plugin is wrong")
        return [*(Kept(kind, path.name, path, spare) for kind, path, spare in found), outside]

    monkeypatch.setattr(stack.runtime, "kept", kept)
    assert planned(stack) == {"logs/old.1": "no such service"}
    prune(stack)
    assert data.exists() and used.exists() and not log.exists() and stack.checkout.exists()


def test_a_removal_that_is_killed_leaves_a_whole_release_or_none(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    three(stack)
    for number in range(4):
        built(stack, f"{number}" * 12, at=number + 1)

    def killed(*_args: object, **_kwargs: object) -> None:
        raise SystemExit

    monkeypatch.setattr(tree.shutil, "rmtree", killed)
    with pytest.raises(SystemExit):
        prune(stack)
    monkeypatch.undo()
    assert "0" * 12 not in Releases(stack.state).all() and Releases(stack.state).built_from("0" * 64) == ""
    removed = [item["path"] for item in prune(stack).document["removed"]]
    assert f"releases/{'1' * 12}" in removed and any(path.startswith("releases/.gone-0000") for path in removed)
    assert not list((stack.state / "releases").glob(".*"))


def test_what_cannot_be_removed_is_named_and_the_rest_goes(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("builds/web/output/a", "builds/old-app/work/a"):
        put(stack, name)
    discard = tree.discard

    def refuse(path: Path) -> None:
        if path.name == "old-app":
            raise PermissionError(1, "Operation not permitted")
        discard(path)

    monkeypatch.setattr(tree, "discard", refuse)
    result = prune(stack)
    assert result.document["exit"] == 1 and "old-app: Operation not permitted" in result.document["error"]
    assert not (stack.state / "builds/web/output").exists()
