"""The same tasks as a program of their own, for repositories without a tasks.py: ``adaf deploy --canary``."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from difflib import get_close_matches

from invoke.exceptions import Exit, ParseError
from invoke.program import Program

from adaf_pipeline.tasks import namespace


@contextlib.contextmanager
def _usage() -> Iterator[None]:
    try:
        yield
    except ParseError as exc:
        raise Exit(
            f"error: {exc}\nhint: {_meant(exc)}adaf --list shows the tasks, adaf --help TASK its flags", code=2
        ) from None


def _meant(exc: ParseError) -> str:
    """The task or flag that a mistyped one is near to."""
    wrong = re.search(r"'([^']+)'", str(exc))
    if wrong is None:
        return ""
    if wrong[1].startswith("-"):
        known = list(exc.context.flags) if exc.context is not None else []
    else:
        known = list(namespace().task_names)
    near = get_close_matches(wrong[1], known, 1)
    return f"did you mean {near[0]}? " if near else ""


class AdafProgram(Program):
    """Invoke's Program, but unknown flags and tasks end with 2, as everywhere else in the world."""

    def parse_core(self, argv: list[str] | None) -> None:
        with _usage():
            super().parse_core(argv)

    def parse_tasks(self) -> None:
        with _usage():
            super().parse_tasks()


def program() -> AdafProgram:
    """The program, not started yet. Its tasks are those of the current folder."""
    from importlib.metadata import version

    return AdafProgram(name="adaf", binary="adaf", namespace=namespace(), version=version("adaf-pipeline"))


def main() -> None:
    program().run()
