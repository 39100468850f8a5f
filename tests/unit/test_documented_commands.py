"""Every command in the documents is one: its task and its flags exist. What the pages' blocks do when they are typed is
tested where there are servers: see RUN_BY."""

from __future__ import annotations

import ast

import pytest
from commands import NOT_RUN, PAGES, PROGRAMS, ROOT, Command, blocks, inline
from invoke.parser import Parser

from adaf_pipeline.tasks import namespace

COMMANDS = sorted({command for page in PAGES for command in (*blocks(page), *inline(page))}, key=lambda c: c.text)
CORE = {("--list",), ("--help", "TASK"), ("TASK",), ("--version",)}
RUN_BY = {
    "docs/quickstart.md": "tests/integration/test_quickstart.py",
    "README.md": "tests/e2e/test_readme.py",
    "docs/tasks.md": "tests/unit/test_tasks_doc.py",
    "docs/plugins.md": "tests/integration/test_author.py",
    "docs/applications.md": "tests/integration/test_flask.py",
}


def check(command: Command, words: tuple[str, ...]) -> None:
    program, *rest = words
    if program == "./ci/env":
        if rest != ["--packages"] and rest != ["true"]:
            check(command, tuple(rest))
    elif program == "nox":
        assert rest[:1] == ["-s"] and rest[1].partition("-")[0] in sessions(), command
    elif program in ("inv", "adaf"):
        if tuple(rest) not in CORE:
            contexts = Parser(contexts=namespace().to_contexts()).parse_argv(rest)
            assert contexts, command
    else:
        assert command.text in NOT_RUN or command.page not in RUN_BY, command


def sessions() -> set[str]:
    tree = ast.parse((ROOT / "noxfile.py").read_text())
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and any("session" in ast.unparse(d) for d in node.decorator_list)
    }


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: f"{c.page}: {c.text}")
def test_it_is_a_command_of_ours(command: Command) -> None:
    words: list[str] = []
    for word in (*command.words, "|"):  # inv status | inv rollback: one after the other
        if word == "|":
            check(command, tuple(words))
            words = []
        else:
            words.append(word)


def test_a_wrong_one_is_seen() -> None:
    for wrong in ("inv deploi", "inv deploy --canari", "nox -s everything", "./ci/env inv status --whatever"):
        with pytest.raises(Exception):  # noqa: B017  Invoke's ParseError, or an assertion
            check(Command("here", tuple(wrong.split())), tuple(wrong.split()))


def test_each_page_with_blocks_to_type_is_run_by_a_test() -> None:
    for page in PAGES:
        typed = [c for c in blocks(page) if c.words[0] in PROGRAMS and c.text not in NOT_RUN]
        name = str(page.relative_to(ROOT))
        if typed and name not in RUN_BY:
            missing = [c.text for c in typed if c.words[0] != "inv" or "..." not in c.text]
            assert not missing, f"{name}: no test runs {missing}"
    for test in RUN_BY.values():
        assert (ROOT / test).exists(), test
