"""docs/plugins.md does what it says: its loose plugins, over fakes. Its repository is made in tests/integration."""

# ruff: noqa: F811  a fixture is named twice: where it comes from and where it is used

from __future__ import annotations

import ast
import re

import pytest
import yaml
from authoring import BLOCKS, LOOSE, ROOT, loose, write

from adaf_pipeline import hooks
from adaf_pipeline.testing.driving import Pipeline
from adaf_pipeline.testing.plugin import pipeline  # noqa: F401

HOOKS = sorted(name for name in vars(hooks) if name.startswith("adaf_"))
TEXT = (ROOT / "docs" / "plugins.md").read_text()


def test_every_hook_is_described_has_an_example_and_a_test_of_its_own_here() -> None:
    assert len(HOOKS) == 5
    used = {node.name for body in BLOCKS.values() for node in definitions(body)}
    tested = {name for name in globals() if name.startswith("test_")}
    for hook in HOOKS:
        assert re.search(rf"^### `{hook}\(.*\)`$", TEXT, re.MULTILINE), hook
        assert hook in used
        assert f"test_{hook}" in tested


def definitions(body: str) -> list[ast.FunctionDef]:
    try:
        return [node for node in ast.walk(ast.parse(body)) if isinstance(node, ast.FunctionDef)]
    except SyntaxError:  # not Python
        return []


def test_every_block_has_a_name_or_is_a_section_of_adaf_yaml() -> None:
    fences = re.findall(r"^```(\w.*)$", TEXT, re.MULTILINE)
    assert [fence for fence in fences if " " not in fence and fence != "yaml"] == []
    for section in re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE):
        assert set(yaml.safe_load(section)) <= {"balancer", "proxy"}


def test_the_balancer_has_thirty_lines() -> None:
    lines = [line for line in BLOCKS["adaf_table/balancer.py"].splitlines() if line.strip()]
    assert len(lines) <= 30  # blank lines apart


def test_adaf_backends(pipeline: Pipeline) -> None:
    write(pipeline.folder, loose("front"))
    pipeline.configure(proxy={"use": "front", "host": "www.example.org"})
    assert pipeline.stack.proxy.url() == "http://www.example.org:80"
    (row,) = [row for row in pipeline.ok("plugins")["backends"] if row["name"] == "front"]
    assert (row["plugin"], row["active"]) == ("file:front", True)
    assert row["from"].endswith(f"{LOOSE}front.py")
    pipeline.configure(proxy={"use": "front", "host": "www.example.org", "port": 0})
    done = pipeline.run("status")
    assert done.code == 2
    assert "error: adaf.yaml: proxy/port: expected" in done.stderr


def test_adaf_tasks(pipeline: Pipeline) -> None:
    write(pipeline.folder, loose("greet"))
    assert pipeline.run("greet").stdout.splitlines()[-1] == "nothing serves"
    pipeline.ok("deploy", "--canary")
    assert pipeline.run("greet", "--loud").stdout.splitlines()[-1] == "BLUE SERVES"
    assert "Say which colour serves." in pipeline.run("--list").stdout
    assert "in capitals" in pipeline.run("--help", "greet").stdout


def test_adaf_plan(pipeline: Pipeline) -> None:
    write(pipeline.folder, loose("freeze"))
    plan = pipeline.ok("deploy", "--canary", "--plan")
    assert plan["steps"][-1]["id"] == "told"
    assert "told the team" in pipeline.run("deploy", "--canary").stdout
    (pipeline.folder / "FREEZE").touch()
    pipeline.change("two")
    done = pipeline.run("deploy", "--canary")
    assert done.code == 6
    assert "error: deploys are frozen: there is a file FREEZE" in done.stderr


def test_adaf_event(pipeline: Pipeline) -> None:
    write(pipeline.folder, loose("diary"))
    pipeline.ok("deploy", "--canary")
    pipeline.change("bad")
    pipeline.visitors.fails = lambda colour, _number: colour == "green"
    assert pipeline.run("deploy", "--canary").code == 4
    lines = (pipeline.folder / "diary").read_text().splitlines()
    assert [line.split()[-1] for line in lines] == ["well", "badly"]


def test_adaf_guards(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    write(pipeline.folder, loose("room"))
    stack = pipeline.stack
    ((guard,),) = stack.registry.manager.hook.adaf_guards(stack=stack)
    assert (guard.name, guard.every, guard.deadline) == ("room", 600, 5)
    assert guard.check(stack) is None
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 5})())
    assert guard.check(stack).task == "prune"
