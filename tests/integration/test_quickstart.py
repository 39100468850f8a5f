"""docs/quickstart.md, typed from its first line to its last, with the tiny application in the dashboard's place."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import NOT_RUN, ROOT, Command, blocks
from driving import Outcome, Pipeline

PAGE = ROOT / "docs" / "quickstart.md"


def plain(text: str) -> str:
    """Without what differs from run to run: ids, numbers, colours' names, and the spaces of columns."""
    text = re.sub(r"\b[0-9a-f]{12}\b|\d{8}T\d{6}Z-\w+-\w{4}", "ID", text)
    text = re.sub(r"\b(blue|green)\b", "COLOUR", text).replace("more than ", "")
    return re.sub(r"\s+", " ", re.sub(r"[\d,.]*\d", "N", text)).strip()


def shown() -> list[str]:
    """The lines that the page says are printed, up to their first dots."""
    text = "\n".join(re.findall(r"^```text\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE))
    return [plain(line.partition("...")[0]) for line in text.splitlines() if line.partition("...")[0].strip()]


def typed(checkout: Pipeline, command: Command, held: list[subprocess.Popen[str]]) -> Outcome | None:
    words = list(command.words)
    if words[:1] == ["./ci/env"]:
        words = words[1:]
    if "something changed" in command.said:
        checkout.change()
    if "answers 500" in command.said:
        checkout.change(fail=0.5)
    if "ID" in words:
        releases = checkout.ok("releases")["releases"]
        other = sorted((each for each in releases if each["place"] != "live"), key=lambda each: each["place"] != "warm")
        words[words.index("ID")] = other[0]["release"]  # a warm one, else the oldest: it was good
    if "stays" in command.said:
        child = checkout.start(*words[1:], "--json")
        Pipeline.reach(child, "canary-25")
        held.append(child)
        return None
    return checkout.run(*words[1:])


@pytest.fixture
def quick(place: Path) -> Iterator[Pipeline]:
    """A checkout that the stack's account may enter."""
    folder = place / "quick"
    folder.mkdir()
    made = Pipeline(folder)
    yield made
    made.run("down", "--purge", "--json")


def test_the_quickstart_as_it_is_typed(quick: Pipeline) -> None:
    held: list[subprocess.Popen[str]] = []
    printed = ""
    commands = [command for command in blocks(PAGE) if command.text not in NOT_RUN]
    assert {c.words[0] for c in commands} == {"./ci/env", "inv", "adaf"} and len(commands) > 20
    for command in commands:
        done = typed(quick, command, held)
        if done is None:
            continue
        expected = 4 if "ends with 4" in command.said else 0
        assert done.code == expected, f"{shlex.join(command.words)}: exit {done.code}\n{done.stdout}\n{done.stderr}"
        printed += done.stdout + done.stderr
        if held and "promote" in command.words:
            ended = quick.finish(held.pop())
            assert ended.code == 0, ended.stderr
    said = plain(printed)
    missing = [line for line in shown() if line not in said]
    assert not missing, f"not printed: {missing}"
