"""What is printed: lines in a pipe and a CI log, the live screen in a terminal; plans and documents in both."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import IO

from rich.console import Console
from rich.text import Text

from adaf_pipeline.event import Event, Json
from adaf_pipeline.plan import Plan
from adaf_pipeline.tasks.typed import as_typed

REPEAT = 10.0  # seconds, at least, between two lines of a log that say how far the same step is


def console(stream: IO[str], env: Mapping[str, str] = os.environ) -> Console:
    """A log is plain: no escape codes in a pipe, a CI job or a terminal that has none, unless FORCE_COLOR asks for colour."""
    plain = is_log(stream, env) and not env.get("FORCE_COLOR")
    return Console(file=stream, highlight=False, soft_wrap=True, force_terminal=False if plain else None)


def is_log(stream: IO[str], env: Mapping[str, str] = os.environ) -> bool:
    """GitHub and others set CI=true, and some of them give their jobs a terminal that nobody sits at."""
    ci = env.get("CI", "").lower() not in ("", "0", "false", "no")
    return ci or env.get("TERM", "") in ("dumb", "unknown", "") or not stream.isatty()


def open_screen(*, to_stderr: bool, env: Mapping[str, str] = os.environ) -> Screen:
    """The live screen where somebody sits at a terminal, else lines. On stderr when stdout is for a JSON document."""
    stream = sys.stderr if to_stderr else sys.stdout
    if is_log(stream, env):
        return Screen(console(stream, env))
    from adaf_pipeline.tasks.live import LiveScreen

    return LiveScreen(console(stream, env))


class Screen:
    """An observer of events that prints one line for each that matters, as a log is read: from above, by many tools."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console, self._clock = console, clock
        self._told: dict[str, float] = {}  # when a repeated word was said last
        self._began = clock()

    def line(self, text: str, style: str = "") -> None:
        self.verbatim(as_typed(text), style)

    def verbatim(self, text: str, style: str = "") -> None:
        """What is not our own words: rows of a table, a value."""
        self.console.print(Text(text, style=style))

    def close(self) -> None:
        """The run is over; what follows is the report."""

    def __call__(self, event: Event) -> None:
        data = event.data
        if event.kind == "begin":
            self._told, self._began = {}, self._clock()
            self.line(f"[{data['number']:>2}/{data['of']}] {event.step}: {event.message}", "bold")
        elif event.kind == "done":
            self.line(f"        {event.message or 'done'} ({data['seconds']:.1f} s)", "green")
        elif event.kind == "progress" and self._is_news(event):
            self.line(f"        {event.message}", "dim")
        elif event.kind == "failed":
            self.line(f"        FAILED after {data['seconds']:.1f} s: {event.message}", "bold red")
        elif event.kind == "undo":
            self.line(f"  undo  {event.step}: {event.message}", "yellow")
        elif event.kind == "undo-failed":
            self.line(f"        UNDO FAILED: {event.message}", "bold red")

    def _is_news(self, event: Event) -> bool:
        """The same word again, and how a watch goes on, are news every ten seconds, and later every minute."""
        now = self._clock()
        watched = bool(event.data.get("watch"))
        what = "watch" if watched else event.message
        since = self._told.get(what, self._began if watched else -REPEAT)
        if now - since < max(REPEAT, min(60.0, (now - self._began) / 6)):
            return False
        self._told[what] = now
        return True


def plan_lines(plan: Plan) -> list[str]:
    """A Plan as ``--plan`` prints it."""
    if plan.nothing:
        return [f"nothing to do: {plan.nothing}"]
    lines = [f"plan for {plan.request.task}" + (f" {plan.summary}" if plan.summary else "")]
    for number, step in enumerate(plan.steps, 1):
        lines.append(f"  {number:>2}. {step.id}: {step.why}")
        lines += [f"        {detail}" for detail in step.plan]
        if step.undo:
            lines.append(f"        undone by: {step.undo_why or 'its undo'}")
        if step.pivot:
            lines.append("        from here on there is no way back but a rollback")
    return lines


def plan_json(plan: Plan) -> dict[str, Json]:
    """A Plan as ``--plan --json`` prints it."""
    steps = [
        {"id": s.id, "why": s.why, "detail": list(s.plan), "undo": s.undo_why if s.undo else "", "pivot": s.pivot}
        for s in plan.steps
    ]
    return {
        "ok": True,
        "task": plan.request.task,
        "summary": plan.summary,
        "nothing": plan.nothing,
        "steps": steps,
        "facts": dict(plan.facts),
    }


def print_json(document: Mapping[str, Json]) -> None:
    json.dump(document, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")
