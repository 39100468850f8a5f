"""A run's append-only record: one JSON line an event. Step records are on the disk before the step goes on."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from adaf_pipeline.event import Event, EventKind, Json


def new_run(task: str) -> str:
    """``20261125T023048Z-deploy-1a2b``: sorts by time."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{task}-{secrets.token_hex(2)}"


def directory(state: Path) -> Path:
    return state / "runs"


class Journal:
    """Writes one run's events. With ``path`` None (a run that changes nothing) it only numbers them."""

    def __init__(self, state: Path | None, run: str) -> None:
        self.run = run
        self._seq = 0
        self._file = -1
        self.path = Path()
        if state is not None:
            directory(state).mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path = directory(state) / f"{run}.jsonl"
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            _sync_directory(self.path.parent)

    def append(
        self, kind: EventKind, step: str = "", message: str = "", data: Mapping[str, Json] | None = None
    ) -> Event:
        """Record one event; everything but progress is fsynced before this returns."""
        self._seq += 1
        event = Event(self.run, self._seq, round(time.time(), 3), kind, step, message, dict(data or {}))
        if self._file >= 0:
            os.write(self._file, (json.dumps(asdict(event), default=str) + "\n").encode())
            if kind != "progress":
                os.fdatasync(self._file)
        return event

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read(path: Path) -> Iterator[Event]:
    """The events of a run; a line torn by a power cut ends it."""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            try:
                yield Event(**json.loads(line))
            except (ValueError, TypeError):
                return


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
