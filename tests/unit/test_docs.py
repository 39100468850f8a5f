"""The documents say what is: schemas parse, every task is in the README, every error has its exit code."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import jsonschema
import pytest
from driving import SCHEMAS
from invoke.parser import Parser

from adaf_pipeline import errors
from adaf_pipeline.engine import Engine
from adaf_pipeline.requests import DeployRequest, UpRequest
from adaf_pipeline.tasks import namespace
from adaf_pipeline.tasks.console import plan_json
from adaf_pipeline.tasks.program import AdafProgram
from adaf_pipeline.testing.stack import fake_stack

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


def test_every_task_with_json_has_a_schema_and_the_other_way_round() -> None:
    tasks = {name: task for name, task in namespace().tasks.items() if "json" in task.body.__code__.co_varnames}
    assert set(tasks) | {"error", "plan"} == set(SCHEMAS)


def test_every_task_is_in_the_readme_and_has_an_example_and_help_for_each_flag() -> None:
    readme = (ROOT / "README.md").read_text()
    for name, task in namespace().tasks.items():
        assert f"inv {name}" in readme, name
        assert re.search(rf"Example: inv {name}", task.__doc__ or ""), name
        for argument in task.get_arguments():
            assert argument.help, f"{name} --{argument.name}"


def test_help_is_readable_in_80_columns_and_its_examples_are_commands() -> None:
    tasks = namespace()
    for name, task in tasks.tasks.items():
        lines = (task.__doc__ or "").splitlines()
        assert len(lines[0]) <= 64, f"{name}: `inv --list` breaks its line"
        assert max(map(len, lines)) <= 80, name
        for example in (line.split("Example: ")[1] for line in lines if "Example: " in line):
            words = shlex.split(example)
            parsed = Parser(contexts=tasks.to_contexts()).parse_argv(words[1:])
            assert [context.name for context in parsed if context.name] == [name], example
        if name in ("build", "deploy", "rollback", "promote", "releases", "status", "doctor", "typecheck", "up"):
            assert "Exit code " in (task.__doc__ or ""), name


def test_a_mistyped_task_or_flag_is_answered_with_the_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    for words, meant in ((["deplyo"], "deploy"), (["deploy", "--canry"], "--canary")):
        with pytest.raises(SystemExit) as ended:
            AdafProgram(name="adaf", binary="adaf", namespace=namespace()).run(["adaf", *words])
        assert ended.value.code == 2
        assert f"hint: did you mean {meant}? adaf --list" in capsys.readouterr().err


def test_every_error_says_what_to_do_next() -> None:
    """Fakes are not for users; what is left has a hint, which is an argument of its own."""
    names = {name for name, e in vars(errors).items() if isinstance(e, type) and issubclass(e, errors.AdafError)}
    files = [
        file for folder in ("src", "plugins") for file in (ROOT / folder).rglob("*.py") if "testing" not in file.parts
    ]
    calls = [
        (file, node) for file in files for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)
    ]
    raised = [(file, call) for file, call in calls if getattr(call.func, "id", "") in names]
    assert len(raised) > 100
    for file, call in raised:
        hint = call.args[1] if len(call.args) > 1 else next((k.value for k in call.keywords if k.arg == "hint"), None)
        assert hint is not None and not (isinstance(hint, ast.Constant) and not hint.value), f"{file}:{call.lineno}"


def test_a_plan_keeps_its_schema(tmp_path: Path) -> None:
    stack = fake_stack(tmp_path)
    for request in (UpRequest(), DeployRequest()):
        document = {**plan_json(Engine(stack).plan(request)), "stack": stack.name}
        jsonschema.validate(document, SCHEMAS["plan"])


def test_every_exit_code_is_in_the_readme_and_in_the_schema() -> None:
    codes = {e.exit_code for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.AdafError)}
    assert codes == set(SCHEMAS["error"]["properties"]["exit"]["enum"])
    readme = (ROOT / "README.md").read_text()
    for code in codes:
        assert re.search(rf"\b{code} \w+", readme), code


def test_modules_are_small_and_named_for_what_they_hold() -> None:
    for file in (*ROOT.glob("src/**/*.py"), *ROOT.glob("plugins/**/*.py"), *ROOT.glob("tests/**/*.py")):
        assert len(file.read_text().splitlines()) <= 400, file
        assert file.stem not in {"utils", "util", "helpers", "helper", "common", "misc", "manager"}, file
