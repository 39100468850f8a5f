"""One run at a time: a kernel file lock with a record of who holds it. A dead owner is gone at once."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import time
from collections.abc import Iterator
from pathlib import Path

from adaf_pipeline.errors import LockedError, PreconditionError
from adaf_pipeline.event import Json
from adaf_pipeline.roles.runtime import LOCK

GLANCES = 1.0  # seconds in which those who only look (they hold it shared for a moment) are waited for
RECORD = 1024  # bytes, always: an owner's record replaces the one before as a whole


@contextlib.contextmanager
def held(state: Path, task: str, run: str) -> Iterator[None]:
    """Hold the stack exclusively; LockedError names the owner, since when, and what for.

    PreconditionError when there is no writing there.
    """
    try:
        file = os.open(state / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as exc:
        raise PreconditionError(
            f"{state / LOCK}: cannot be written: {exc.strerror}",
            "the stack's directory is on a disk that takes nothing",
        ) from exc
    try:
        deadline = time.monotonic() + GLANCES
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = owner(state)
                if holder is not None or time.monotonic() > deadline:
                    raise _locked(holder) from None
                time.sleep(0.02)
        if not os.fstat(file).st_nlink:  # the run before purged the stack: this lock is nobody's any more
            raise _locked(None)
        record = {"pid": os.getpid(), "who": who(), "since": time.time(), "task": task, "run": run}
        with contextlib.suppress(OSError):  # the lock is what counts; only its owner's name is missing on a full disk
            os.pwrite(file, json.dumps(record).encode().ljust(RECORD), 0)
        yield
        with contextlib.suppress(OSError):
            os.pwrite(file, b" " * RECORD, 0)  # not truncated: the next owner may find no room for a block
    finally:
        os.close(file)


def owner(state: Path) -> dict[str, Json] | None:
    """The record of the living owner, or None when the lock is free (a pure read)."""
    try:
        file = os.open(state / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            body = os.pread(file, 4096, 0)
            try:
                return dict(json.loads(body))
            except ValueError:  # it is being written at this moment
                return {"pid": 0, "who": "somebody", "since": time.time(), "task": "a task", "run": ""}
        return None
    finally:
        os.close(file)


def _locked(record: dict[str, Json] | None) -> LockedError:
    if record is None:
        return LockedError("another run held the stack a moment ago", "try again")
    age = max(0, int(time.time() - record["since"]))
    hint = "wait for it, or look with `inv status`"
    if record["task"] == "deploy":
        hint = "wait for it; `inv promote` and `inv rollback` reach it"
    return LockedError(
        f"the stack is held by `{record['task']}` of {record['who']} (pid {record['pid']}, for {age} s)", hint
    )


def who() -> str:
    """Who runs this: through sudo the one who called it, in a CI job its actor."""
    name = os.environ.get("SUDO_USER") or os.environ.get("GITHUB_ACTOR")
    if name:
        return name
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
