"""The commands that the documents tell people to type."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *ROOT.glob("docs/*.md")])
PROGRAMS = ("inv", "adaf", "nox", "./ci/env")
NOT_RUN = {  # the only ones that no test types, and why
    "./ci/env nox -s ci": "it is what runs the tests",
    "./ci/env nox -s fresh": "makes whole Debian systems: run before a release",
    "./ci/env nox -s lint": "a part of the gate",
    "source .venv/bin/activate": "a matter of the shell",
}


@dataclass(frozen=True)
class Command:
    """``words``: what is typed, brackets of a synopsis taken off. ``said``: the comment behind it."""

    page: str
    words: tuple[str, ...]
    said: str = ""

    @property
    def text(self) -> str:
        return shlex.join(self.words)


def blocks(page: Path) -> list[Command]:
    """What stands in shell blocks and in indented ones, in order."""
    body = page.read_text()
    lines = [line for _, block in _fences(body, "sh") for line in block.splitlines()]
    lines += [line.strip() for line in _without_fences(body).splitlines() if line.startswith("    ")]
    return [_command(page, line) for line in lines if line.strip() and (line.startswith(PROGRAMS) or line in _sh(body))]


def inline(page: Path) -> list[Command]:
    """What stands in the text as `inv ...`."""
    spans = re.findall(r"(?<!`)`([^`]+)`(?!`)", _without_fences(page.read_text()))
    return [_command(page, span) for span in spans if span.split(" ")[0] in PROGRAMS and span.count(" ")]


def _sh(body: str) -> set[str]:
    return {line for _, block in _fences(body, "sh") for line in block.splitlines()}


def _fences(body: str, language: str) -> list[tuple[str, str]]:
    return re.findall(rf"^```({language})\b[^\n]*\n(.*?)^```$", body, re.DOTALL | re.MULTILINE)


def _without_fences(body: str) -> str:
    return re.sub(r"^```.*?^```$", "", body, flags=re.DOTALL | re.MULTILINE)


def _command(page: Path, line: str) -> Command:
    words, _, said = line.partition("  #") if "  #" in line else line.partition(" # ")
    words = re.sub(r"\[(=[^]]*|[^]]*)\]", r"\1", re.sub(r"\[(=[^]]*)\]", r"\1", words))
    return Command(str(page.relative_to(ROOT)), tuple(shlex.split(words)), said.strip())
