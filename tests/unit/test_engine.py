"""The engine: order, journal, undo, pivot, signals."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from adaf_pipeline import control, journal, lock
from adaf_pipeline.engine import Engine, Result
from adaf_pipeline.errors import AdafError, LockedError, UnhealthyError
from adaf_pipeline.event import Event, Json
from adaf_pipeline.hooks import impl
from adaf_pipeline.plan import Facts, Plan, Run, Step
from adaf_pipeline.requests import Request
from adaf_pipeline.testing.stack import fake_stack


class Ask(Request):
    task = "ask"


class Script:
    """A plugin that answers ``Ask`` with the steps it was given, and a note of what they did."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.steps: list[Step] = []

    def step(
        self, name: str, do: Callable[[Run], Json] | None = None, *, undo: bool = True, pivot: bool = False
    ) -> None:
        def act(run: Run) -> Json:
            self.did.append(name)
            return do(run) if do else name.upper()

        def back(_run: Run) -> None:
            self.did.append(f"undo {name}")

        self.steps.append(Step(name, f"because of {name}", act, undo=back if undo else None, pivot=pivot))

    @impl
    def adaf_plan(self, request: Request, facts: Facts) -> Plan | None:
        return Plan(request, facts, tuple(self.steps)) if isinstance(request, Ask) else None


@pytest.fixture
def script() -> Script:
    return Script()


def run(tmp_path: Path, script: Script) -> tuple[Result, list[Event]]:
    stack = fake_stack(tmp_path, plugins={"script": script})
    seen: list[Event] = []
    result = Engine(stack, (seen.append,)).run(Ask())
    return result, seen


def fail(message: str = "broken", error: type[AdafError] = AdafError) -> Callable[[Run], Json]:
    def act(_run: Run) -> Json:
        raise error(message, "mend it")

    return act


def test_steps_run_in_order_and_their_outputs_are_kept(tmp_path: Path, script: Script) -> None:
    script.step("one")
    script.step("two", lambda run: run.outputs["one"] + "!")
    result, seen = run(tmp_path, script)
    assert result.document["ok"] and result.error is None
    assert script.did == ["one", "two"]
    done = {event.step: event.data["output"] for event in seen if event.kind == "done"}
    assert done == {"one": "ONE", "two": "ONE!"}


def test_the_journal_has_intent_before_result(tmp_path: Path, script: Script) -> None:
    def look(run: Run) -> Json:
        lines = list(journal.read(journal.directory(run.stack.state) / f"{run.id}.jsonl"))
        return [event.kind for event in lines]

    script.step("look", look)
    result, seen = run(tmp_path, script)
    kinds = ["run", "facts", "plan", "begin"]
    assert next(e for e in seen if e.kind == "done").data["output"] == kinds
    path = tmp_path / ".adaf" / "state" / "runs" / f"{result.document['run']}.jsonl"
    written = list(journal.read(path))
    assert [event.kind for event in written] == [*kinds, "done", "end"]
    assert [event.seq for event in written] == [1, 2, 3, 4, 5, 6]
    assert path.stat().st_mode & 0o777 == 0o600


def test_failure_undoes_in_reverse_with_the_failed_step_first(tmp_path: Path, script: Script) -> None:
    script.step("one")
    script.step("two", undo=False)
    script.step("three", fail())
    script.step("four")
    result, _seen = run(tmp_path, script)
    assert script.did == ["one", "two", "three", "undo three", "undo one"]
    assert result.document["error"] == "broken"
    assert result.document["hint"] == "mend it"
    assert result.document["exit"] == 1


def test_after_the_pivot_nothing_is_undone(tmp_path: Path, script: Script) -> None:
    script.step("one")
    script.step("pivot", pivot=True)
    script.step("three", fail())
    result, seen = run(tmp_path, script)
    assert script.did == ["one", "pivot", "three"]
    assert any("point of no return" in event.message for event in seen)
    assert not result.document["ok"]


def test_a_failing_pivot_is_still_undone(tmp_path: Path, script: Script) -> None:
    script.step("one")
    script.steps.append(Step("pivot", "x", fail(), pivot=True))
    run(tmp_path, script)
    assert script.did == ["one", "undo one"]


def test_a_signal_in_a_pivot_lets_the_run_go_forward(tmp_path: Path, script: Script) -> None:
    def interrupted(_run: Run) -> Json:
        os.kill(os.getpid(), signal.SIGTERM)
        script.did.append("through")
        return None

    script.step("one")
    script.step("pivot", interrupted, pivot=True)
    script.step("three")
    result, _seen = run(tmp_path, script)
    assert script.did == ["one", "pivot", "through", "three"]
    assert result.document["ok"]


def test_a_closed_terminal_does_not_stop_the_undo(tmp_path: Path, script: Script) -> None:
    script.step("one")
    script.step("two", fail())
    stack = fake_stack(tmp_path, plugins={"script": script})

    def gone(event: Event) -> None:
        if event.kind == "failed":
            raise BrokenPipeError

    assert Engine(stack, (gone,)).run(Ask()).document["error"] == "broken"
    assert script.did == ["one", "two", "undo two", "undo one"]


def test_a_failed_undo_is_in_the_document_and_in_the_hint(tmp_path: Path, script: Script) -> None:
    script.steps.append(Step("one", "x", lambda _run: 1, undo=fail("disk full")))
    script.step("two", fail())
    result, _seen = run(tmp_path, script)
    assert result.document["undo_failed"] == [{"id": "one", "error": "disk full"}]
    assert "the undo of one failed (disk full)" in result.document["hint"]


def test_a_journal_that_cannot_be_written_stops_before_acting_but_not_the_undo(
    tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = journal.Journal.append

    def full(self: journal.Journal, kind: str, step: str = "", *rest: object) -> Event:
        if step == "two" or kind.startswith("undo"):
            raise OSError(28, "No space left on device")
        return real(self, kind, step, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(journal.Journal, "append", full)
    script.step("one")
    script.step("two")
    result, _seen = run(tmp_path, script)
    assert script.did == ["one", "undo one"]
    assert result.document["exit"] == 6
    assert "No space left" in result.document["error"]


def test_an_undo_that_fails_does_not_stop_the_others_and_the_cause_stays(tmp_path: Path, script: Script) -> None:
    script.step("one")
    script.steps.append(Step("two", "x", lambda _run: 2, undo=fail("undo is broken")))
    script.step("three", fail("the cause", UnhealthyError))
    result, seen = run(tmp_path, script)
    assert script.did == ["one", "three", "undo three", "undo one"]
    assert result.document["error"] == "the cause"
    assert result.document["exit"] == 4
    assert [e.message for e in seen if e.kind == "undo-failed"] == ["AdafError: undo is broken"]


def test_a_bug_is_undone_and_raised(tmp_path: Path, script: Script) -> None:
    script.step("one")
    script.step("two", lambda _run: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(tmp_path, script)
    assert script.did == ["one", "two", "undo two", "undo one"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_undoes_and_ends_with_130(tmp_path: Path, script: Script, number: signal.Signals) -> None:
    before = signal.getsignal(number)

    def interrupted(run: Run) -> Json:
        os.kill(os.getpid(), number)
        run.wait(5)
        raise AssertionError("not interrupted")

    script.step("one")
    script.step("two", interrupted)
    result, _seen = run(tmp_path, script)
    assert script.did == ["one", "two", "undo two", "undo one"]
    assert result.document["exit"] == 130
    assert signal.getsignal(number) is before


def test_a_signal_that_somebody_caught_ends_the_run_all_the_same(tmp_path: Path, script: Script) -> None:
    def careless(run: Run) -> Json:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except AdafError:
            script.did.append("caught")
        os.kill(os.getpid(), signal.SIGINT)  # again, while it is on its way
        run.wait(5)
        raise AssertionError("not interrupted")

    script.step("one", careless)
    result, _seen = run(tmp_path, script)
    assert script.did == ["one", "caught", "undo one"]
    assert result.document["exit"] == 130


@pytest.mark.parametrize("bug", [KeyError("window"), AttributeError("items"), AdafError("mine")])
def test_an_observer_with_a_bug_does_not_stop_the_undo(tmp_path: Path, script: Script, bug: Exception) -> None:
    def broken(event: Event) -> None:
        if event.kind == "undo":
            raise bug

    script.step("one")
    script.step("two", fail())
    stack = fake_stack(tmp_path, plugins={"script": script})
    assert Engine(stack, (broken,)).run(Ask()).document["error"] == "broken"
    assert script.did == ["one", "two", "undo two", "undo one"]


def test_a_second_signal_does_not_break_the_undo(tmp_path: Path, script: Script) -> None:
    def again(_run: Run) -> Json:
        os.kill(os.getpid(), signal.SIGINT)
        script.did.append("undo one")
        return None

    script.steps.append(Step("one", "x", lambda _run: 1, undo=again))

    def interrupted(run: Run) -> Json:
        os.kill(os.getpid(), signal.SIGINT)
        run.wait(5)
        return None

    script.step("two", interrupted)
    result, seen = run(tmp_path, script)
    assert script.did == ["two", "undo two", "undo one"]
    assert any("SIGINT noted" in event.message for event in seen)
    assert result.document["exit"] == 130


def test_the_lock_refuses_a_second_run_and_names_the_owner(tmp_path: Path, script: Script) -> None:
    def second(run: Run) -> Json:
        other = Engine(run.stack).run(Ask())  # type: ignore[arg-type]
        assert isinstance(other.error, LockedError)
        return other.document["error"]

    script.step("first", second)
    result, seen = run(tmp_path, script)
    assert result.document["ok"]
    said = next(e for e in seen if e.kind == "done").data["output"]
    assert "the stack is held by `ask`" in said and str(os.getpid()) in said
    assert lock.owner(tmp_path / ".adaf" / "state") is None


def test_another_command_can_ask_a_run_to_undo(tmp_path: Path, script: Script) -> None:
    def asked(run: Run) -> Json:
        control.ask(run.stack.state, run.id, "undo", "somebody")
        run.wait(5)
        return None

    script.step("one", asked)
    result, _seen = run(tmp_path, script)
    assert script.did == ["one", "undo one"]
    assert result.document["error"] == "somebody asked for a rollback"
    assert result.document["exit"] == 4
    assert not list((tmp_path / ".adaf" / "state" / "runs").glob("*.control"))


def test_resources_live_for_the_run_and_are_closed(tmp_path: Path, script: Script) -> None:
    class Thing:
        closed = 0

        def close(self) -> None:
            Thing.closed += 1

    script.step("one", lambda run: run.resource("thing", Thing) and None)
    script.step("two", lambda run: [run.resource("thing", Thing) is run.held("thing"), Thing.closed])
    _result, seen = run(tmp_path, script)
    assert [e.data["output"] for e in seen if e.kind == "done"][1] == [True, 0]
    assert Thing.closed == 1


def test_a_torn_journal_line_ends_the_reading(tmp_path: Path) -> None:
    record = journal.Journal(tmp_path, "r")
    record.append("run")
    record.append("facts", data={"facts": {"a": 1}})
    record.close()
    path = journal.directory(tmp_path) / "r.jsonl"
    path.write_text(path.read_text() + '{"run": "r", "seq')
    assert [event.kind for event in journal.read(path)] == ["run", "facts"]


def test_plans_refuse_double_ids_and_two_pivots(tmp_path: Path) -> None:
    from adaf_pipeline.errors import PluginError

    one = Step("one", "x", lambda _run: None, pivot=True)
    with pytest.raises(PluginError, match="step id used twice: one"):
        Plan(Ask(), {}, (one, one))
    with pytest.raises(PluginError, match="more than one pivot: one, two"):
        Plan(Ask(), {}, (one, Step("two", "x", lambda _run: None, pivot=True)))


def test_the_fingerprint_follows_facts_and_steps() -> None:
    one = Step("one", "x", lambda _run: None)
    plan = Plan(Ask(), {"a": 1}, (one,))
    assert plan.fingerprint({}) == Plan(Ask(), {"a": 1}, (one,)).fingerprint({})
    assert plan.fingerprint({}) != Plan(Ask(), {"a": 2}, (one,)).fingerprint({})
    assert plan.fingerprint({}) != plan.fingerprint({"plugins": 2})
