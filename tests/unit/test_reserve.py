"""A full disk, over fakes: before the pivot it undoes the run, after it nothing stops, and all of it is journaled."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from adaf_pipeline import journal, lock, reserve
from adaf_pipeline.engine import Engine, Result
from adaf_pipeline.errors import UnhealthyError
from adaf_pipeline.event import Event, Json
from adaf_pipeline.hooks import impl
from adaf_pipeline.plan import Facts, Plan, Run, Step
from adaf_pipeline.requests import Request
from adaf_pipeline.stack import Stack
from adaf_pipeline.testing.stack import fake_stack

APPENDS = 14  # of the run below, when nothing goes wrong
PIVOT = 10  # its "begin" is this append


class Ask(Request):
    task = "ask"


class Rescue(Ask):
    rescues = True


class Script:
    """Two steps with an undo, the pivot, and one after it; each says something meanwhile."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.fails = ""
        self.error: Exception = UnhealthyError("it did not hold", "look")

    def _step(self, name: str) -> Step:
        def act(run: Run) -> Json:
            run.progress(f"doing {name}")
            self.did.append(name)
            if name == self.fails:
                raise self.error
            return name

        def back(_run: Run) -> Json:
            self.did.append(f"undo {name}")
            return None

        return Step(name, f"because of {name}", act, undo=back, pivot=name == "pivot")

    @impl
    def adaf_plan(self, request: Request, facts: Facts) -> Plan | None:
        steps = tuple(self._step(name) for name in ("one", "two", "pivot", "after"))
        return Plan(request, facts, steps) if isinstance(request, Ask) else None


class Disk:
    """Full from append number ``full``; with ``spare`` it has room again once the reserve was freed."""

    def __init__(self, stack: Stack, monkeypatch: pytest.MonkeyPatch, full: int, *, spare: bool = True) -> None:
        self.appends, self.full, self.spare = 0, full, spare
        self.reserve = stack.state / "reserve"
        write = journal.Journal._write

        def limited(record: journal.Journal, line: bytes) -> None:
            room = self.spare and not self.reserve.exists()
            if not room:
                self.appends += 1
                if self.appends >= self.full:
                    raise OSError(errno.ENOSPC, "No space left on device")
            write(record, line)

        monkeypatch.setattr(journal.Journal, "_write", limited)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def scripted(tmp_path: Path, script: Script) -> Stack:
    return fake_stack(tmp_path, plugins={"script": script})


def written(stack: Stack, result: Result) -> list[Event]:
    path = journal.directory(stack.state) / f"{result.document['run']}.jsonl"
    events = list(journal.read(path))
    assert len(events) == len(path.read_text().splitlines())  # no line is torn
    return events


def test_without_trouble_the_reserve_is_made_and_stays(scripted: Stack) -> None:
    result = Engine(scripted).run(Ask())
    assert result.document["ok"]
    events = written(scripted, result)
    assert [e.kind for e in events][PIVOT - 1] == "begin" and events[PIVOT - 1].step == "pivot"
    assert len(events) == APPENDS + 2
    status = (scripted.state / "reserve").stat()
    assert status.st_blocks * 512 >= reserve.SIZE and status.st_mode & 0o777 == 0o600


@pytest.mark.parametrize("full", range(1, APPENDS + 3))
def test_a_disk_that_is_full_at_any_append(
    scripted: Stack, script: Script, monkeypatch: pytest.MonkeyPatch, full: int
) -> None:
    with monkeypatch.context() as patch:
        Disk(scripted, patch, full)
        result = Engine(scripted).run(Ask())
    events = written(scripted, result)
    assert not (scripted.state / "reserve").exists() and events[-1].kind == "end"
    acted = [name for name in script.did if not name.startswith("undo")]
    undone = [event.step for event in events if event.kind == "undone"]
    if full <= PIVOT:
        assert result.document["exit"] == 6 and "is full (" in result.document["error"]
        assert "`inv prune`" in result.document["hint"] and "pivot" not in acted
        begun = {event.step for event in events if event.kind == "begin"}
        assert set(acted) <= set(undone) == {name for name in begun if f"undo {name}" in script.did}
    else:
        assert result.document["ok"] and acted == ["one", "two", "pivot", "after"] and not undone
    again = Engine(scripted).run(Ask())
    assert again.document["ok"] and (scripted.state / "reserve").exists()


@pytest.mark.parametrize("full", range(1, APPENDS + 3))
def test_no_room_at_all(scripted: Stack, script: Script, monkeypatch: pytest.MonkeyPatch, full: int) -> None:
    """Freeing the reserve gave nothing: somebody else took it at once."""
    Disk(scripted, monkeypatch, full, spare=False)
    result = Engine(scripted).run(Ask())
    written(scripted, result)
    if full <= PIVOT:
        assert result.document["exit"] == 6
        acted = [name for name in script.did if not name.startswith("undo")]
        assert {f"undo {name}" for name in acted} <= set(script.did)
    else:
        assert result.document["ok"] and script.did == ["one", "two", "pivot", "after"]


@pytest.mark.parametrize("spare", [True, False])
def test_what_rescues_goes_on(scripted: Stack, script: Script, monkeypatch: pytest.MonkeyPatch, spare: bool) -> None:
    Disk(scripted, monkeypatch, 1, spare=spare)
    assert Engine(scripted).run(Rescue()).document["ok"]
    assert script.did == ["one", "two", "pivot", "after"]


def test_no_room_for_the_reserve_stops_before_anything_but_a_rescue(
    scripted: Stack, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reserve.os, "posix_fallocate", refused(errno.EDQUOT))
    result = Engine(scripted).run(Ask())
    assert result.document["exit"] == 6 and "no room for the reserve" in result.document["error"]
    assert script.did == [] and not journal.directory(scripted.state).exists()
    seen: list[Event] = []
    assert Engine(scripted, (seen.append,)).run(Rescue()).document["ok"]
    assert any("there is no reserve" in event.message for event in seen)


def test_a_file_system_that_promises_nothing_stops_nobody(scripted: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reserve.os, "posix_fallocate", refused(errno.EOPNOTSUPP))
    assert Engine(scripted).run(Ask()).document["ok"]


def test_a_rescue_goes_on_without_a_journal(scripted: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal.Journal, "_open", refused(errno.ENOSPC))
    assert Engine(scripted).run(Ask()).document["exit"] == 6
    assert Engine(scripted).run(Rescue()).document["ok"]


def test_a_step_that_finds_the_disk_full_says_so_in_two_lines(scripted: Stack, script: Script) -> None:
    script.fails, script.error = "two", OSError(errno.ENOSPC, "No space left on device", "/somewhere")
    result = Engine(scripted).run(Ask())
    assert result.document["exit"] == 6 and "two: [Errno 28]" in result.document["error"]
    assert script.did == ["one", "two", "undo two", "undo one"]
    assert (scripted.state / "reserve").exists()  # the journal found room


def test_an_undo_on_a_disk_with_no_room_frees_the_reserve_first(
    scripted: Stack, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its journal may still find a place in its last block, but the share and the history do not."""
    monkeypatch.setattr(reserve, "room", lambda _folder: 0)
    script.fails = "two"
    result = Engine(scripted).run(Ask())
    assert result.document["exit"] == 4 and not (scripted.state / "reserve").exists()
    monkeypatch.setattr(reserve, "room", lambda _folder: reserve.LOW)
    Engine(scripted).run(Ask())
    assert (scripted.state / "reserve").exists()


def test_a_line_of_which_half_fitted_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = journal.Journal(tmp_path, "r")
    record.append("run")
    left = [10]

    def write(file: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        part = bytes(data)[: left[0]]
        left[0] -= len(part)
        return os.write(file, part)

    monkeypatch.setattr(journal, "os", SimpleNamespace(**{**vars(os), "write": write}))
    with pytest.raises(OSError, match="No space left"):
        record.append("facts")
    left[0] = 10_000
    record.append("plan")
    record.close()
    assert [event.kind for event in journal.read(record.path)] == ["run", "plan"]


def test_a_lock_keeps_its_block_and_names_only_the_living_owner(tmp_path: Path) -> None:
    for run in ("a-run-with-a-long-name", "r"):
        with lock.held(tmp_path, "ask", run):
            owner = lock.owner(tmp_path)
            assert owner is not None and owner["run"] == run
        assert lock.owner(tmp_path) is None
        body = (tmp_path / "lock").read_bytes()
        assert len(body) == lock.RECORD and not body.strip()
    with lock.held(tmp_path, "ask", "r"):
        assert json.loads((tmp_path / "lock").read_bytes())["task"] == "ask"


def refused(code: int) -> Callable[..., None]:
    def act(*_args: object) -> None:
        raise OSError(code, os.strerror(code))

    return act


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_an_undo_that_finds_no_room_gets_the_reserve(scripted: Stack, script: Script, number: int) -> None:
    """A quota, or no inode left: how many bytes are free says nothing of it."""
    kept = scripted.state / "reserve"
    step = script._step

    def narrow(name: str) -> Step:
        made = step(name)

        def back(run: Run) -> Json:
            if kept.exists():
                raise OSError(number, os.strerror(number))
            assert made.undo is not None
            return made.undo(run)

        return replace(made, undo=back)

    script._step = narrow  # type: ignore[method-assign]
    script.fails = "two"
    result = Engine(scripted).run(Ask())
    assert script.did == ["one", "two", "undo two", "undo one"]
    assert "undo_failed" not in result.document and result.document["exit"] == 4
