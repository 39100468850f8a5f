"""The one error, and the one way to call a program."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping


class EngineError(Exception):
    """What is wrong, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def call(*argv: str, env: Mapping[str, str] | None = None, check: bool = True) -> str:
    """What a program printed. Raises EngineError with the end of its complaint."""
    try:
        done = subprocess.run(argv, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        if not check:
            return ""
        raise EngineError(f"{argv[0]} is not here", "this runs on Debian 12 or 13") from None
    if check and done.returncode:
        raise EngineError(
            f"{shlex.join(argv)}: exit {done.returncode}", done.stderr.strip()[-600:] or "it says no more"
        )
    return done.stdout
