"""What the events of a run add up to: its steps, the visitors, the verdict so far, and what it waits for. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from adaf_pipeline.event import Event, Json

State = Literal["to come", "running", "done", "failed", "undoing", "undone", "undo failed"]


@dataclass
class Row:
    """One step. ``word`` is its newest progress; ``began`` is the board's clock."""

    id: str
    why: str = ""
    state: State = "to come"
    result: str = ""  # what it said when it was done
    undo: str = ""  # how it is taken back, once that has begun; or why that failed
    word: str = ""
    began: float = 0.0
    seconds: float = 0.0


@dataclass
class Board:
    """Tell it every event of one run, in order. Times are seconds of ``clock``."""

    clock: Callable[[], float] = time.monotonic
    task: str = ""
    run: str = ""
    summary: str = ""
    release: str = ""
    live: str = ""  # the colour that serves, "" when none does
    idle: str = ""  # the colour that gets the release
    pivot: str = ""
    hold: bool = False  # each canary step waits for a promote
    rows: list[Row] = field(default_factory=list)
    share: dict[str, float] = field(default_factory=dict)
    served: dict[str, dict[str, int]] = field(default_factory=dict)  # requests and failed ones, in all watched steps
    probes: dict[str, int] = field(default_factory=dict)
    watch: dict[str, Json] = field(default_factory=dict)  # the newest report of the running step
    verdict: tuple[str, str] = ("", "")  # the newest one: outcome and reason
    failed: tuple[str, str] = ("", "")  # the step that failed, and why
    note: str = ""  # what belongs to no step: a signal that was acknowledged, an observer that broke
    ok: bool | None = None  # None while it runs
    began: float = 0.0
    ended: float = 0.0
    _before: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def undoing(self) -> bool:
        return any(row.state in ("failed", "undoing", "undone", "undo failed") for row in self.rows)

    @property
    def now(self) -> Row | None:
        """The step that acts, or is being undone, at this moment."""
        return next((row for row in self.rows if row.state in ("running", "undoing")), None)

    @property
    def seconds(self) -> float:
        return (self.ended or self.clock()) - self.began

    def passed(self, step: str) -> bool:
        return any(row.id == step and row.state == "done" for row in self.rows)

    def tell(self, event: Event) -> None:
        tell = getattr(self, f"_{event.kind.replace('-', '_')}", None)
        if tell is not None:
            tell(event)

    def _row(self, step: str) -> Row:
        for row in self.rows:
            if row.id == step:
                return row
        self.rows.append(Row(step))
        return self.rows[-1]

    def _run(self, event: Event) -> None:
        self.run, self.began = event.run, self.clock()
        request = _mapping(event.data.get("request"))
        self.task, self.hold = str(request.get("task", "")), bool(request.get("hold"))

    def _facts(self, event: Event) -> None:
        facts = _mapping(event.data.get("facts"))
        self.release = str(facts.get("release") or "")
        self.live, self.idle = str(facts.get("live") or ""), str(facts.get("idle") or "")
        self._shares(facts)

    def _plan(self, event: Event) -> None:
        self.summary, self.pivot = event.message, str(event.data.get("pivot", ""))
        self.rows = [Row(step, why) for step, why in zip(event.data["steps"], event.data["why"], strict=True)]

    def _begin(self, event: Event) -> None:
        row = self._row(event.step)
        row.state, row.why, row.began = "running", event.message, self.clock()

    def _progress(self, event: Event) -> None:
        watch = _mapping(event.data.get("watch"))
        if watch:
            self._watched(watch)
        elif event.step:
            self._row(event.step).word = event.message
        else:
            self.note = event.message

    def _watched(self, watch: Mapping[str, Json]) -> None:
        self.watch = dict(watch)
        self.verdict = (str(watch.get("outcome", "")), str(watch.get("reason", "")))
        self.probes = dict(watch.get("probes") or {})
        self._shares(watch)
        for colour, counts in _mapping(watch.get("served")).items():
            base = self._before.get(colour, {})
            self.served[colour] = {name: base.get(name, 0) + count for name, count in counts.items()}

    def _done(self, event: Event) -> None:
        output = _mapping(event.data.get("output"))
        if "outcome" in output:
            self._watched({**self.watch, **output, "probes": self.probes})
        self._end_of_step(event, "done")
        self.release = str(output.get("release") or self.release)

    def _failed(self, event: Event) -> None:
        self.failed = (event.step, event.message)
        self._end_of_step(event, "failed")

    def _end_of_step(self, event: Event, state: State) -> None:
        row = self._row(event.step)
        row.state, row.result, row.seconds = state, event.message, float(event.data.get("seconds") or 0.0)
        self._shares(_mapping(event.data.get("output")))
        self._before = {colour: dict(counts) for colour, counts in self.served.items()}
        self.watch = {}

    def _undo(self, event: Event) -> None:
        row = self._row(event.step)
        row.state, row.undo, row.word, row.began = "undoing", event.message, "", self.clock()

    def _undone(self, event: Event) -> None:
        self._row(event.step).state = "undone"
        self._shares(_mapping(event.data.get("output")))

    def _undo_failed(self, event: Event) -> None:
        row = self._row(event.step)
        row.state, row.undo = "undo failed", event.message

    def _end(self, event: Event) -> None:
        self.ok, self.ended = bool(event.data.get("ok")), self.clock()

    def _shares(self, holder: Mapping[str, Json]) -> None:
        share = _mapping(holder.get("share"))
        if share and all(isinstance(percent, (int, float)) for percent in share.values()):
            self.share = {str(colour): float(percent) for colour, percent in share.items()}


def _mapping(value: Json) -> Mapping[str, Json]:
    """A plugin's step may put anything into its output."""
    return value if isinstance(value, Mapping) else {}
