"""A small file that is kept for the day on which the disk is full: freed, an undo can still be journaled."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from adaf_pipeline.errors import PreconditionError

SIZE = 4 * 2**20  # bytes: the journal of an undo, and the few records that it writes
LOW = SIZE // 4  # bytes free, below which an undo frees it before it is told that there is no room


class Reserve:
    """``reserve`` in a stack's state directory. Only the journal frees it; the next run makes it again."""

    def __init__(self, state: Path) -> None:
        self.path = state / "reserve"
        self.freed = False  # by this run
        self.left = 0  # bytes that were free just before

    def make(self) -> bool:
        """Allocate it, unless it is there. False: the file system is full; elsewhere than there it is no reason to stop."""
        try:
            status = self.path.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_blocks * 512 >= SIZE:
                return True
        except FileNotFoundError:
            pass
        try:
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(file, 0, SIZE)
            finally:
                os.close(file)
        except OSError as exc:
            if is_full(exc):
                self.path.unlink(missing_ok=True)  # half of it would only take what is left
                return False
        return True  # a file system that cannot promise room, or is read-only, has its say at the first write

    def free(self) -> bool:
        """Give its room back. False when there was none."""
        left = room(self.path.parent)
        try:
            self.path.unlink()
        except OSError:
            return False
        self.freed, self.left = True, left
        return True

    def is_low(self) -> bool:
        """Whether there is so little room that an undo's own writes may find none."""
        return room(self.path.parent) < LOW


def is_full(exc: BaseException) -> bool:
    """No space left, or a quota that is used up."""
    return isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT)


def room(folder: Path) -> int:
    """Bytes that we may still write there."""
    status = os.statvfs(folder)
    return status.f_frsize * (status.f_bfree if os.geteuid() == 0 else status.f_bavail)


def mount_point(folder: Path) -> str:
    """Where the file system begins that it lies on."""
    return next((str(place) for place in (folder, *folder.parents) if os.path.ismount(place)), "/")


def full_error(folder: Path, what: str, left: int | None = None) -> PreconditionError:
    """The two lines about a full disk. ``what`` could not be done; ``left``: bytes that were free then, or now."""
    free = room(folder) if left is None else left
    return PreconditionError(
        f"the file system {mount_point(folder)} is full ({free:,} bytes free): {what}",
        f"`inv prune` frees what nothing needs (--plan shows it); the stack's directory is {folder}",
    )
