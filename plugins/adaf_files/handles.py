"""Opening what may have been tampered with. As root we work where an unprivileged account may write too, so nothing is
looked up by a path that it could bend: always one name in an open directory, and never through a link."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from adaf_pipeline.errors import LockedError, PreconditionError

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a planted FIFO must not block us
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
PATIENCE = 10.0  # seconds; whoever holds the lock writes a few small files


@dataclass(frozen=True, slots=True)
class Owner:
    """Who the files belong to, and whether we have to hand them over."""

    uid: int
    gid: int

    def give(self, handle: int) -> None:
        """Services could not read what root keeps."""
        if os.geteuid() == 0:
            os.fchown(handle, self.uid, self.gid)

    def trusts(self, handle: int) -> str:
        """ "" when nobody else can have changed or read it, else what is wrong."""
        status = os.fstat(handle)
        mode = stat.S_IMODE(status.st_mode)
        if status.st_uid not in (self.uid, 0):
            return f"belongs to uid {status.st_uid}"
        return f"lets others in (mode {mode:04o})" if mode & 0o077 else ""


@contextlib.contextmanager
def opened(name: str, parent: int | None, where: Path, flags: int = FOLDER) -> Iterator[int | None]:
    """A handle, None when there is nothing. PreconditionError for a link, or anything of another kind."""
    try:
        handle = os.open(name, flags, dir_fd=parent)
    except FileNotFoundError:
        yield None
        return
    except PermissionError as exc:
        raise PreconditionError(f"{where}: permission denied", "run as the user the stack belongs to") from exc
    except OSError as exc:  # ELOOP, ENOTDIR
        raise PreconditionError(f"{where}: not what we put there ({exc.strerror})", "look who did") from exc
    try:
        if flags & os.O_DIRECTORY == 0 and not stat.S_ISREG(os.fstat(handle).st_mode):
            raise PreconditionError(f"{where}: not a file", "look who put it there")
        yield handle
    finally:
        os.close(handle)


def entries(folder: int) -> list[os.DirEntry[str]]:
    """What is in an open directory, sorted."""
    with os.scandir(folder) as found:
        return sorted(found, key=lambda entry: entry.name)


def made(name: str, parent: int | None, owner: Owner) -> None:
    """A directory of ours, made if there is none; also finishes what a killed run of root left half made."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=parent)
    with contextlib.suppress(OSError):  # a link, a file: whoever opens it next says so
        handle = os.open(name, FOLDER, dir_fd=parent)
        try:
            if os.fstat(handle).st_uid == os.geteuid() and not entries(handle):
                owner.give(handle)
        finally:
            os.close(handle)


def write_new(name: str, folder: int, body: str, owner: Owner) -> None:
    """A complete 0400 file, on disk."""
    handle = os.open(name, NEW, 0o400, dir_fd=folder)
    try:
        os.write(handle, body.encode())
        os.fchmod(handle, 0o400)
        owner.give(handle)
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def locked(folder: int, owner: Owner) -> Iterator[None]:
    """One writer at a time, whatever account it runs as; the kernel frees the lock of a dead one."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        lock = os.open(".lock", flags | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
        owner.give(lock)
    except FileExistsError:
        lock = os.open(".lock", flags, dir_fd=folder)
    try:
        deadline = time.monotonic() + PATIENCE
        while not _taken(lock):
            if time.monotonic() > deadline:
                raise LockedError("secrets: another process is writing them", "wait for it, or look what hangs")
            time.sleep(0.02)
        yield
    finally:
        os.close(lock)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
