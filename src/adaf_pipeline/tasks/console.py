"""What people see while a run goes on: one line a step, in a terminal, a pipe and a CI log alike."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from adaf_pipeline.event import Event, Json
from adaf_pipeline.plan import Plan


class Screen:
    """An observer of events. Everything goes to stderr when stdout belongs to a JSON document."""

    def __init__(self, *, to_stderr: bool) -> None:
        self.console = Console(stderr=to_stderr, highlight=False, soft_wrap=True)

    def line(self, text: str, style: str = "") -> None:
        self.console.print(Text(text, style=style))

    def __call__(self, event: Event) -> None:
        data = event.data
        if event.kind == "begin":
            self.line(f"[{data['number']:>2}/{data['of']}] {event.step}: {event.message}", "bold")
        elif event.kind == "done":
            self.line(f"        {event.message or 'done'} ({data['seconds']:.1f} s)", "green")
        elif event.kind == "progress":
            self.line(f"        {event.message}", "dim")
        elif event.kind == "failed":
            self.line(f"        FAILED after {data['seconds']:.1f} s: {event.message}", "bold red")
        elif event.kind == "undo":
            self.line(f"  undo  {event.step}: {event.message}", "yellow")
        elif event.kind == "undo-failed":
            self.line(f"        UNDO FAILED: {event.message}", "bold red")


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
