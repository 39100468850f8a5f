"""A run's append-only record: one JSON line an event. Step records are on the disk before the step goes on."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from adaf_pipeline.event import Event, EventKind, Json
from adaf_pipeline.reserve import Reserve, is_full


def new_run(task: str) -> str:
    """``20261125T023048Z-deploy-1a2b``: sorts by time."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{task}-{secrets.token_hex(2)}"


def directory(state: Path) -> Path:
    return state / "runs"


URGENT = frozenset({"failed", "undo"})  # what comes now has to write, and must find room


class Journal:
    """Writes one run's events. With ``state`` None (a run that changes nothing) it only numbers them.

    ``reserve`` is freed when the disk is full, and what could not be written is written again. OSError when there is
    no room even so: the journal then ends with the last whole line.
    """

    def __init__(self, state: Path | None, run: str, reserve: Reserve | None = None) -> None:
        self.run = run
        self.reserve = reserve
        self._seq = 0
        self._file = -1
        self.path = Path()
        if state is not None:
            self.path = directory(state) / f"{run}.jsonl"
            self._with_room(self._open)

    def _open(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        _sync_directory(self.path.parent)

    def append(
        self, kind: EventKind, step: str = "", message: str = "", data: Mapping[str, Json] | None = None
    ) -> Event:
        """Record one event; everything but progress is fsynced before this returns."""
        self._seq += 1
        event = Event(self.run, self._seq, round(time.time(), 3), kind, step, message, dict(data or {}))
        if self._file >= 0:
            if kind in URGENT and self.reserve is not None and self.reserve.is_low():
                self.reserve.free()
            line = (json.dumps(asdict(event), default=str) + "\n").encode()
            self._with_room(lambda: self._write(line))
            if kind != "progress":
                self._with_room(lambda: os.fdatasync(self._file))
        return event

    def _write(self, line: bytes) -> None:
        """The whole line or nothing: the next one must not begin in the middle of it."""
        size = os.fstat(self._file).st_size
        left = memoryview(line)
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:
            os.ftruncate(self._file, size)
            raise

    def _with_room(self, act: Callable[[], None]) -> None:
        try:
            act()
        except OSError as exc:
            if not is_full(exc) or self.reserve is None or not self.reserve.free():
                raise
            act()

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
