"""One line of a run's journal; console, audit and tracing observe the same records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Json = Any  # None, bool, int, float, str, list or dict of those: what json.dumps takes unchanged

EventKind = Literal[
    "run",  # a run began: request, fingerprint
    "facts",  # what was gathered before the plan was built
    "plan",  # the plan's steps
    "begin",  # a step is about to act
    "done",  # it acted; data = its output
    "failed",  # it failed; data = error, hint
    "undo",  # its undo is about to act
    "undone",
    "undo-failed",
    "progress",  # never fsynced
    "end",  # the run ended: ok, exit
]


@dataclass(frozen=True, slots=True)
class Event:
    """``at`` is unix seconds; ``seq`` counts from 1 within the run."""

    run: str
    seq: int
    at: float
    kind: EventKind
    step: str = ""
    message: str = ""
    data: Mapping[str, Json] = field(default_factory=dict)
