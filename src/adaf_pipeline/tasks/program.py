"""The same tasks as a program of their own, for repositories without a tasks.py: ``adaf deploy --canary``."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from difflib import get_close_matches

from invoke.exceptions import Exit, ParseError, UnknownFileType
from invoke.program import Program

from adaf_pipeline.tasks import namespace

AFTER_TASK = re.compile(r"--(stack|json|plan)\b")


@contextlib.contextmanager
def _usage() -> Iterator[None]:
    try:
        yield
    except (ParseError, UnknownFileType) as exc:
        raise Exit(
            f"error: {_said(exc)}\nhint: {_meant(exc)}adaf --list shows the tasks, adaf --help TASK its flags", code=2
        ) from None


def _said(exc: Exception) -> str:
    """Invoke's words, but for an object's name in them."""
    return re.sub(r"Flag <Argument: (\S+?)[ >].*", r"--\1 needs a value", str(exc))


def _meant(exc: Exception) -> str:
    """The task or flag that a mistyped one is near to."""
    wrong = re.search(r"'([^']+)'", str(exc))
    if wrong is None or not isinstance(exc, ParseError):
        return ""
    if wrong[1].startswith("-"):
        known = list(exc.context.flags) if exc.context is not None else []
        if (exc.context is None or not exc.context.name) and AFTER_TASK.match(wrong[1]):
            return f"flags come after their task: adaf TASK {wrong[1]}. "
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

    def update_config(self, merge: bool = True) -> None:
        with _usage():
            super().update_config(merge)

    def print_help(self) -> None:
        """The tasks, which is what somebody looks for; Invoke's own flags mean nothing to them."""
        print("Usage: adaf TASK [--FLAG ...]\n")
        self.list_tasks()
        print("adaf --help TASK, --version, --print-completion-script=bash (or zsh, fish)")


def program() -> AdafProgram:
    """The program, not started yet. Its tasks are those of the current folder."""
    from importlib.metadata import version

    return AdafProgram(name="adaf", binary="adaf", namespace=namespace(), version=version("adaf-pipeline"))


def main() -> None:
    program().run()
