"""The one engine: prints a Plan, runs it with progress, journals it, and takes it back when it fails."""

from __future__ import annotations

import contextlib
import json
import pkgutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from adaf_pipeline import control, journal, lock
from adaf_pipeline.errors import AdafError, InterruptedRunError, PreconditionError
from adaf_pipeline.event import Event, EventKind, Json
from adaf_pipeline.interrupts import Interrupts
from adaf_pipeline.plan import Facts, Plan, Step
from adaf_pipeline.requests import Request
from adaf_pipeline.reserve import Reserve, full_error, is_full
from adaf_pipeline.stack import Stack

T = TypeVar("T")
Observer = Callable[[Event], None]


@dataclass
class Result:
    """How a run ended: ``document`` is what ``--json`` prints, ``lines`` what a person reads."""

    document: dict[str, Json]
    lines: tuple[str, ...] = ()
    error: AdafError | None = None


@dataclass
class EngineRun:
    """Fulfils plan.Run."""

    id: str
    stack: Stack
    facts: Facts
    _emit: Callable[..., None]
    _interrupts: Interrupts
    _control: Path
    outputs: dict[str, Json] = field(default_factory=dict)
    step: str = ""
    story: list[dict[str, Json]] = field(default_factory=list)  # what --json says of the steps
    undoing: bool = False
    committed: bool = False  # its pivot has begun: a full disk stops it no more
    failure: Mapping[str, Json] | None = None
    undo_failed: list[dict[str, Json]] = field(default_factory=list)
    _resources: dict[str, Any] = field(default_factory=dict)

    def progress(self, message: str, **data: Json) -> None:
        self.check()  # who reports often can be interrupted often
        self._emit("progress", self.step, message, data)

    def check(self) -> None:
        if not self.undoing:
            self._interrupts.check()
            control.check(self._control)

    def wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while True:
            self.check()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.1))

    def wanted(self, command: str) -> int:
        """How often another command of the user asked this run for something (``promote``)."""
        return control.asked(self._control, command)

    def resource(self, name: str, make: Callable[[], T]) -> T:
        if name not in self._resources:
            self._resources[name] = make()
        found: T = self._resources[name]
        return found

    def held(self, name: str) -> object | None:
        return self._resources.get(name)

    def close(self) -> None:
        for name, thing in reversed(self._resources.items()):
            try:
                thing.close()
            except Exception as exc:  # noqa: BLE001  closing a reader must not hide how the run ended
                self._emit("progress", self.step, f"could not close {name}: {exc}", {})
        self._resources.clear()


class Engine:
    """Runs requests against one stack. ``observers`` see every event first; plugins' observers after them."""

    def __init__(self, stack: Stack, observers: tuple[Observer, ...] = ()) -> None:
        self.stack = stack
        self.observers = observers

    def plan(self, request: Request) -> Plan:
        """Gather the facts and build the Plan: pure reads, what ``--plan`` prints."""
        facts = gather(self.stack, request)
        return self.stack.registry.plan(self.stack, request, facts)

    def run(self, request: Request) -> Result:
        """Run a request to its end. Errors a user can act on are in the Result; bugs raise."""
        began = time.monotonic()
        run_id = journal.new_run(request.task)
        document: dict[str, Json] = {"ok": False, "task": request.task, "stack": self.stack.name, "run": run_id}
        lines: tuple[str, ...] = ()
        error: AdafError | None = None
        try:
            with self._locked(request, run_id):
                lines = self._run(request, run_id, document)
            document["ok"] = True
        except AdafError as exc:
            error = exc
            document |= {"error": exc.message, "hint": exc.hint, "exit": exc.exit_code}
        document["seconds"] = round(time.monotonic() - began, 2)
        return Result(document, lines, error)

    @contextlib.contextmanager
    def _locked(self, request: Request, run_id: str) -> Iterator[None]:
        if not request.changes:
            yield
            return
        with lock.held(self.stack.state, request.task, run_id):
            yield

    def _run(self, request: Request, run_id: str, document: dict[str, Json]) -> tuple[str, ...]:
        record, missing = self._record(request, run_id)
        spare = record.reserve

        def emit(kind: EventKind, step: str = "", message: str = "", data: Mapping[str, Json] | None = None) -> None:
            """Nothing new is begun on a full disk, but an undo, and what is past its pivot, goes on."""
            trouble: AdafError | None = None
            try:
                event = record.append(kind, step, message, data)
            except OSError as exc:
                event = Event(run_id, 0, time.time(), kind, step, message, dict(data or {}))
                trouble = _unwritten(record, exc)
            if spare is not None and spare.freed:
                trouble = full_error(self.stack.state, "the reserve for an undo had to be freed", spare.left)
            must_go_on = interrupts.is_undoing or request.rescues or (run is not None and run.committed)
            if trouble is not None and not must_go_on:
                raise trouble
            self._notify(event)

        def ignored(name: str) -> None:
            emit("progress", "", f"{name} noted: undoing, this ends by itself")

        interrupts = Interrupts(ignored)
        run: EngineRun | None = None
        try:
            with interrupts.installed():
                emit("run", data={"request": request.json()})
                if missing:
                    emit("progress", "", missing)
                facts = gather(self.stack, request)
                emit("facts", data={"facts": facts})
                plan = self.stack.registry.plan(self.stack, request, facts)
                emit("plan", message=plan.summary, data=plan.outline(self.stack.identity()))
                path = control.path(self.stack.state, run_id)
                run = EngineRun(run_id, self.stack, facts, emit, interrupts, path)
                self._steps(plan, run, emit, interrupts, spare)
                run.undoing = True  # nothing may interrupt the report of what is done
                document["steps"] = run.story
                if plan.result:
                    document |= plan.result(run)
                if plan.nothing:
                    document["nothing"] = plan.nothing
                emit("end", data={"ok": True})
                return tuple(plan.report(document)) if plan.report else ()
        except BaseException as exc:
            interrupts.undoing()  # what is left is to say so
            if run is not None and isinstance(exc, AdafError):
                document |= {"steps": run.story, **_partial(plan, run)}
                if run.undo_failed:  # the hint of the cause may promise what the undo did not keep
                    document["undo_failed"] = run.undo_failed
                    exc.hint = (
                        f"the undo of {run.undo_failed[0]['id']} failed ({run.undo_failed[0]['error']}): inv status"
                    )
            code = exc.exit_code if isinstance(exc, AdafError) else 1
            emit("end", data={"ok": False, "exit": code, "error": str(exc)})
            raise
        finally:
            if run is not None:
                run.close()
            if request.changes:
                control.path(self.stack.state, run_id).unlink(missing_ok=True)
            record.close()

    def _record(self, request: Request, run_id: str) -> tuple[journal.Journal, str]:
        """The run's journal and its reserve, and what is missing: PreconditionError, unless the request can do without."""
        if not request.changes:
            return journal.Journal(None, run_id), ""
        state = self.stack.state
        reserve, missing = Reserve(state), ""
        if not reserve.make():
            missing = "the disk is full: there is no reserve for the journal"
            if not request.rescues:
                raise full_error(state, "no room for the reserve with which an undo is journaled")
        try:
            return journal.Journal(state, run_id, reserve), missing
        except OSError as exc:
            if not request.rescues:
                raise PreconditionError(f"the journal cannot be written: {exc}", f"look at {state}") from exc
            return journal.Journal(None, run_id), f"without a journal: {exc}"

    def _steps(
        self, plan: Plan, run: EngineRun, emit: Callable[..., None], interrupts: Interrupts, spare: Reserve | None
    ) -> None:
        begun: list[Step] = []
        passed, started = "", time.monotonic()
        try:
            for number, step in enumerate(plan.steps, 1):
                if not passed:
                    run.check()
                run.step, started = step.id, time.monotonic()
                with interrupts.shielded():
                    emit("begin", step.id, step.why, {"number": number, "of": len(plan.steps)})
                    begun.append(step)
                # a signal waits until a pivot is through: there is no half of it
                run.committed = run.committed or step.pivot
                with interrupts.shielded() if step.pivot else contextlib.nullcontext():
                    output = step.do(run)
                with interrupts.shielded():
                    json.dumps(output)  # a step whose output cannot be journaled is a bug: say so here
                    run.outputs[step.id] = output
                    said = step.say(output) if step.say else ""
                    seconds = round(time.monotonic() - started, 2)
                    run.story.append({"id": step.id, "ok": True, "seconds": seconds})
                    emit("done", step.id, said, {"output": output, "seconds": seconds})
                    passed = step.id if step.pivot else passed
            if not passed:
                run.check()
            interrupts.undoing()  # everything is done: a signal that comes now has nothing left to undo
        except BaseException as exc:
            interrupts.undoing()
            run.undoing = True
            hint = exc.hint if isinstance(exc, AdafError) else ""
            seconds, where = round(time.monotonic() - started, 2), run.step
            run.story.append({"id": where, "ok": False, "seconds": seconds})
            run.failure = {"step": where, "error": str(exc) or type(exc).__name__, "hint": hint}
            emit("failed", where, str(run.failure["error"]), {"hint": hint, "seconds": seconds})
            if passed:
                emit("progress", run.step, f"step {passed} was the point of no return: nothing is undone")
            else:
                self._undo(begun, run, emit, exc, spare)
            if is_full(exc):
                raise full_error(self.stack.state, f"{where}: {exc}") from exc
            raise
        run.step = ""

    def _undo(
        self,
        begun: list[Step],
        run: EngineRun,
        emit: Callable[..., None],
        cause: BaseException,
        spare: Reserve | None,
    ) -> None:
        """Reverse order, the failed step included: it may have acted before it failed. It may act twice, with room."""
        for step in reversed(begun):
            if step.undo is None:
                continue
            run.step = step.id
            emit("undo", step.id, step.undo_why or f"taking back: {step.why}")
            try:
                try:
                    output = step.undo(run)
                except OSError as exc:  # a quota, or no inode left: the disk itself may still have room
                    if not is_full(exc) or spare is None or not spare.free():
                        raise
                    output = step.undo(run)
                emit("undone", step.id, "", {"output": output})
            except Exception as exc:  # noqa: BLE001  the remaining undos matter more; the cause stays the error
                run.undo_failed.append({"id": step.id, "error": str(exc)})
                emit("undo-failed", step.id, f"{type(exc).__name__}: {exc}", {"cause": str(cause)})

    def _notify(self, event: Event) -> None:
        self._observe(event)
        for trouble in self.stack.registry.notify(self.stack, event):
            self._observe(Event(event.run, event.seq, event.at, "progress", "", trouble, {}))

    def _observe(self, event: Event) -> None:
        """A terminal that went away, or a bug there, must never decide whether a run is undone: it is told no more."""
        for observer in self.observers:
            try:
                observer(event)
            except InterruptedRunError:  # a signal that came just then
                raise
            except (Exception, SystemExit):  # noqa: BLE001
                self.observers = tuple(o for o in self.observers if o is not observer)


def gather(stack: Stack, request: Request) -> Facts:
    """The facts of a request, by the module that it names; {} when it names none."""
    if not request.workflow:
        return {}
    facts: Facts = pkgutil.resolve_name(f"{request.workflow}:gather")(stack, request)
    return facts


def _unwritten(record: journal.Journal, exc: OSError) -> AdafError:
    what = f"the journal cannot be written: {exc}"
    return full_error(record.path.parent, what) if is_full(exc) else PreconditionError(what, f"look at {record.path}")


def _partial(plan: Plan, run: EngineRun) -> Mapping[str, Json]:
    """What a failed run still measured; a result that needs the missing steps says nothing."""
    if plan.result is None:
        return {}
    try:
        return plan.result(run)
    except (KeyError, AdafError):
        return {}
