"""How a second command reaches a running one: a small file beside its journal. `promote` and `rollback` write to it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from adaf_pipeline.errors import UnhealthyError


def path(state: Path, run: str) -> Path:
    return state / "runs" / f"{run}.control"


def ask(state: Path, run: str, command: str, who: str) -> None:
    """Ask the run to ``promote`` or to ``undo``."""
    handle = os.open(path(state, run), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, (json.dumps({"at": time.time(), "command": command, "who": who}) + "\n").encode())
    finally:
        os.close(handle)


def asked(file: Path, command: str) -> int:
    """How often this run was asked for ``command``."""
    return sum(record.get("command") == command for record in _records(file))


def check(file: Path) -> None:
    """Raise UnhealthyError when `rollback` asked the run to undo itself."""
    for record in _records(file):
        if record.get("command") == "undo":
            raise UnhealthyError(f"{record.get('who')} asked for a rollback", "`inv releases` shows what is live")


def _records(file: Path) -> list[dict[str, object]]:
    try:
        lines = file.read_text().splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines if line.endswith("}")]
