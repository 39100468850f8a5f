"""A service's log as s6-log keeps it: ``current``, and archives that are named by the time at which they ended.

A rotation renames ``current`` to ``previous``, opens a new ``current``, and renames ``previous`` to ``@TIME.s``. What
was read is known by its inode, what comes next by its name: nothing is lost or told twice, however fast it rotates.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

STAMP = len("2026-11-27 10:32:13.015512345  ")  # what s6-log puts before each line
PATIENCE = 50  # looks, 10 ms apart, at a rotation that does not end: its logger was killed


class Log:
    """One folder of logs, and how far it was read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: BinaryIO | None = None
        self._after = ""  # the newest archive that is older than the file
        self._part = b""

    def read(self, lines: int, *, follow: bool = False) -> Iterator[str]:
        """The newest lines, oldest first; then, with ``follow``, more as they come: that ends only with the reader."""
        try:
            yield from self._tail(lines)
            if follow:
                yield from self._follow()
            elif len(self._part) > STAMP and lines:  # the end of a log that was cut off; a time alone says nothing
                yield _text(self._part)
        finally:
            if self._file is not None:
                self._file.close()

    def _tail(self, lines: int) -> Iterable[str]:
        current = self._current()
        if current is not None:
            self._use(*current)
        found = deque(self._lines(), maxlen=lines)
        for archive in reversed(self._archives()):
            if len(found) >= lines:
                break
            if self._file is not None and archive.name > self._after:
                continue  # what was current a moment ago
            with contextlib.suppress(FileNotFoundError), _open(archive) as file:
                found.extendleft(reversed(deque((_text(raw) for raw in file), maxlen=lines - len(found))))
        return found

    def _follow(self) -> Iterator[str]:
        while True:
            yield from self._lines()
            ahead = self._next()
            if ahead is None:
                time.sleep(0.2)
                continue
            yield from self._lines()  # what was written between the last look and the rotation
            self._use(*ahead)

    def _lines(self) -> Iterator[str]:
        """The whole lines that are there now."""
        for raw in self._file or ():
            self._part += raw
            if self._part.endswith(b"\n"):
                yield _text(self._part)
                self._part = b""

    def _archives(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("@*") if path.suffix in (".s", ".u"))

    def _current(self) -> tuple[BinaryIO, str] | None:
        """``current`` and the archive before it: no rotation may come between the two looks."""
        for patience in range(PATIENCE, -1, -1):
            before = self._archives()
            file = None
            with contextlib.suppress(FileNotFoundError):
                file = _open(self.folder / "current")  # read for as long as the reader wants
            rotating = (self.folder / "previous").exists() or before != self._archives()
            if file is not None and not (rotating and patience):
                return file, before[-1].name if before else ""
            if file is not None:
                file.close()
            if not rotating:
                return None
            time.sleep(0.01)
        return None

    def _use(self, file: BinaryIO, after: str) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._after, self._part = file, after, b""

    def _next(self) -> tuple[BinaryIO, str] | None:
        """What follows the file that is being read, once nothing is written to that any more."""
        if self._file is None:
            return self._current()
        mine = os.fstat(self._file.fileno()).st_ino
        with contextlib.suppress(FileNotFoundError):  # deleted or renamed at this moment: look again
            if (self.folder / "current").stat().st_ino == mine or (self.folder / "previous").exists():
                return None
            newer = [path for path in self._archives() if path.name > self._after]
            if not newer:
                return self._current()  # not rotated: a job began its log anew
            if newer[0].stat().st_ino != mine:  # a slow reader: its file is gone already
                return _open(newer[0]), self._after
            if len(newer) > 1:
                return _open(newer[1]), newer[0].name
            ahead = self._current()
            if ahead is not None and ahead[1] == newer[0].name:
                return ahead
            if ahead is not None:  # rotated once more
                ahead[0].close()
        return None


def _open(path: Path) -> BinaryIO:
    """The folder is the account's, and we may be root: a link put there is not followed, a pipe not waited for."""
    return open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace").rstrip("\n")
