"""How much disk something takes: counted within a time, and honest about what was not counted."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

KB, MB, GB = 2**10, 2**20, 2**30


@dataclass(frozen=True, slots=True)
class Size:
    """``bytes`` on the disk (blocks, not lengths; what has several names counts once). Not ``whole``: at least so many."""

    bytes: int = 0
    whole: bool = True

    def __add__(self, other: Size) -> Size:
        return Size(self.bytes + other.bytes, self.whole and other.whole)

    def __str__(self) -> str:
        return ("" if self.whole else "at least ") + human(self.bytes)


def measure(paths: Iterable[Path], deadline: float) -> Size:
    """Files and trees, links not followed, until ``deadline`` (of time.monotonic). What is gone counts nothing."""
    total, whole = 0, True
    seen: set[tuple[int, int]] = set()
    todo = [os.fspath(path) for path in paths]
    while todo:
        if time.monotonic() > deadline:
            return Size(total, False)
        path = todo.pop()
        try:
            status = os.lstat(path)
            if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
                if (status.st_dev, status.st_ino) in seen:
                    continue
                seen.add((status.st_dev, status.st_ino))
            total += status.st_blocks * 512
            if stat.S_ISDIR(status.st_mode):
                with os.scandir(path) as entries:
                    todo += [entry.path for entry in entries]
        except FileNotFoundError:
            continue
        except OSError:  # not ours to read
            whole = False
    return Size(total, whole)


def human(count: int) -> str:
    """``512 B``, ``4 KB``, ``12.3 MB``, ``78.1 GB`` (powers of 1024)."""
    for unit, size in (("GB", GB), ("MB", MB)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count // KB} KB" if count >= KB else f"{count} B"
