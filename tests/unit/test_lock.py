"""One run at a time, also while a stack is purged or its disk takes nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from adaf_local.backend import Local, Settings
from adaf_pipeline import lock
from adaf_pipeline.errors import LockedError, PreconditionError, ServiceError
from adaf_pipeline.host import places


def purged(state: Path) -> None:
    runtime = Local(Settings(), cast(Any, SimpleNamespace(services=lambda: ())))
    runtime.__dict__["state"] = state
    runtime.__dict__["supervisor"] = SimpleNamespace(names=list, end=lambda: None)
    runtime.down(purge=True, progress=lambda _message: None)


def filled(state: Path) -> Path:
    for name in ("a/1", "volumes/database.1/data/1", "z/1"):
        (state / name).parent.mkdir(parents=True)
        (state / name).write_text("x")
    return state


def test_nobody_begins_in_a_stack_that_is_being_purged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = filled(tmp_path / "state")
    remove, refused = places.remove, []

    def slow(path: Path) -> None:
        with pytest.raises(LockedError), lock.held(state, "up", "second"):
            pass
        refused.append(path.name)
        remove(path)

    monkeypatch.setattr(places, "remove", slow)
    with lock.held(state, "down", "first"):
        purged(state)
    assert sorted(refused) == ["a", "volumes", "z"]
    assert not state.exists()
    purged(state)  # twice is fine


def test_what_stays_is_not_called_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = filled(tmp_path / "state")
    remove = places.remove
    monkeypatch.setattr(places, "remove", lambda path: None if path.name == "volumes" else remove(path))
    with pytest.raises(ServiceError, match="volumes: cannot be deleted"):
        purged(state)
    assert [path.name for path in state.iterdir()] == ["volumes"]


def test_the_lock_of_a_stack_that_was_purged_meanwhile_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = lock.fcntl.flock

    def late(file: int, how: int) -> None:
        (tmp_path / lock.LOCK).unlink()
        flock(file, how)

    monkeypatch.setattr(lock.fcntl, "flock", late)
    with pytest.raises(LockedError, match="a moment ago"), lock.held(tmp_path, "up", "second"):
        pass


def test_a_disk_that_takes_nothing_is_two_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_words: object, **_more: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(lock.os, "open", refuses)
    with pytest.raises(PreconditionError, match="lock: cannot be written: Read-only"), lock.held(tmp_path, "up", "r"):
        pass
