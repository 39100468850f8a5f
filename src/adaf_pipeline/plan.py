"""Plans: what a task will do, as data. Only the engine runs them, so ``--plan`` never lies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from adaf_pipeline.errors import PluginError
from adaf_pipeline.event import Json

if TYPE_CHECKING:
    from adaf_pipeline.requests import Request
    from adaf_pipeline.roles import StackView

Facts = Mapping[str, Json]
Proof = Literal["done", "not done", "unknown"]
T = TypeVar("T")


class Run(Protocol):
    """What a step may use while it acts."""

    @property
    def id(self) -> str: ...
    @property
    def stack(self) -> StackView: ...
    @property
    def facts(self) -> Facts: ...
    @property
    def outputs(self) -> Mapping[str, Json]:
        """By step id, of the steps that are done."""

    @property
    def failure(self) -> Mapping[str, Json] | None:
        """While undoing: the ``step`` that failed, its ``error`` and ``hint``."""

    def progress(self, message: str, **data: Json) -> None:
        """Say what is happening; ``data`` reaches observers and ``--json`` consumers."""

    def check(self) -> None:
        """Raise InterruptedRunError when a signal asked the run to end; long steps call it in their loops."""

    def wait(self, seconds: float) -> None:
        """Sleep, but wake up and raise as soon as the run is asked to end."""

    def wanted(self, command: str) -> int:
        """How often another command of the user asked this run for something (``promote``)."""

    def resource(self, name: str, make: Callable[[], T]) -> T:
        """A thing that lives for several steps (a log reader, a load); closed by the engine at the end."""

    def held(self, name: str) -> object | None:
        """The resource of that name, if some step made it."""


def not_provable(_run: Run) -> Proof:
    """The proof of a step that can only be done again."""
    return "unknown"


@dataclass(frozen=True)
class Step:
    """One thing that happens, why, how one sees that it has happened, and how it is taken back.

    ``do`` and ``undo`` may run twice. ``proof`` is a pure read. ``pivot``: from here on there is no way back.
    ``plan`` are lines that ``--plan`` prints below the step. ``say`` turns the output into one line for people.
    """

    id: str
    why: str
    do: Callable[[Run], Json]
    proof: Callable[[Run], Proof] = not_provable
    undo: Callable[[Run], Json] | None = None
    undo_why: str = ""
    pivot: bool = False
    plan: tuple[str, ...] = ()
    say: Callable[[Json], str] | None = None


Steps = tuple[Step, ...]


@dataclass(frozen=True)
class Plan:
    """Ordered steps for one request, built from facts that were gathered first.

    Raises PluginError when step ids repeat or there is more than one pivot (a wrapping plugin may have caused it).
    """

    request: Request
    facts: Facts
    steps: Steps
    summary: str = ""
    nothing: str = ""  # why there is nothing to do, when ``steps`` is empty
    result: Callable[[Run], Mapping[str, Json]] | None = None  # the ``--json`` document's own keys
    report: Callable[[Mapping[str, Json]], Iterable[str]] | None = None  # what a person reads at the end

    def __post_init__(self) -> None:
        ids = [step.id for step in self.steps]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        if twice:
            raise PluginError(
                f"plan {self.request.task}: step id used twice: {', '.join(twice)}",
                "a plugin that wraps adaf_plan must give its steps ids of their own",
            )
        if sum(step.pivot for step in self.steps) > 1:
            pivots = ", ".join(step.id for step in self.steps if step.pivot)
            raise PluginError(
                f"plan {self.request.task}: more than one pivot: {pivots}", "a plan has one way of no return"
            )

    def fingerprint(self, context: Mapping[str, Json]) -> str:
        """Identity of a rebuilt plan: step ids + facts + ``context`` (configuration, plugin versions)."""
        record = {"task": self.request.task, "ids": [s.id for s in self.steps], "facts": self.facts, "context": context}
        return hashlib.sha256(json.dumps(record, sort_keys=True, default=str).encode()).hexdigest()[:16]

    def outline(self, context: Mapping[str, Json]) -> dict[str, Json]:
        """What the journal keeps of a plan before its first step acts: ids and reasons in order, and its identity."""
        return {
            "steps": [step.id for step in self.steps],
            "why": [step.why for step in self.steps],
            "pivot": next((step.id for step in self.steps if step.pivot), ""),
            "id": self.fingerprint(context),
        }
