"""docs/tasks.md says what the tasks are: each one, each flag; and its examples run, in their order, over fakes."""

# ruff: noqa: F811  a fixture is named twice: where it comes from and where it is used

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from adaf_pipeline import errors
from adaf_pipeline.tasks import namespace
from adaf_pipeline.testing.driving import Pipeline
from adaf_pipeline.testing.plugin import pipeline  # noqa: F401

TEXT = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text()
SECTIONS = dict(re.findall(r"^## ([a-z]+)\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE))
STANDARD = {"stack", "json", "plan"}


def flags(text: str) -> list[str]:
    return re.findall(r"--([a-z-]+)", text)


def test_every_task_has_its_section_and_no_other_has() -> None:
    assert sorted(SECTIONS) == sorted(namespace().tasks)


@pytest.mark.parametrize("name", sorted(SECTIONS))
def test_its_flags_are_the_tasks(name: str) -> None:
    section = SECTIONS[name]
    own = {argument.name for argument in namespace().tasks[name].get_arguments()}
    synopsis = re.findall(rf"^    inv {name}(.*)$", section, re.MULTILINE)
    assert len(synopsis) == 1
    assert sorted(flags(synopsis[0])) == sorted(own)
    assert sorted(re.findall(r"^- `--([a-z-]+)`: ", section, re.MULTILINE)) == sorted(own - STANDARD)
    takes = {a.name for a in namespace().tasks[name].get_arguments() if a.takes_value} & own
    for flag in takes - {"canary"}:
        assert re.search(rf"\[--{flag} [A-Z]+\]", synopsis[0]), flag


def test_the_three_that_are_everywhere_are_described_once() -> None:
    head = TEXT.partition("## ")[0]
    assert {flag for flag in STANDARD if re.search(rf"^- `--{flag}", head, re.MULTILINE)} == STANDARD


def test_every_exit_code_is_in_the_table_and_no_other_is() -> None:
    table = {int(code) for code in re.findall(r"^\| (\d+) \| \S", TEXT, re.MULTILINE)}
    known = {e.exit_code for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.AdafError)}
    assert table == known | {0}
    assert {int(code) for code in re.findall(r"Exit (\d+)", TEXT)} <= table


def test_the_examples_end_as_they_say(pipeline: Pipeline) -> None:
    tried = set()
    for block in re.findall(r"^```sh\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            words, _, comment = line.partition("#")
            expected = int(re.sub(r"\D", "", comment) or 0)
            program, *rest = shlex.split(words)
            assert program == "inv"
            pipeline.change(f"before {line}")  # somebody works on the application meanwhile
            done = pipeline.run(*rest)
            if rest == ["doctor"]:  # the machine's affair
                assert done.code in (0, 6)
            else:
                assert done.code == expected, f"{line}: exit {done.code}\n{done.stdout}{done.stderr}"
            tried.add(rest[0])
    assert tried == set(SECTIONS)
