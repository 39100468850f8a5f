"""The five hooks: the whole plugin interface. A plugin's module may import only this file, so that listing is fast."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from invoke.collection import Collection
    from invoke.tasks import Task

    from adaf_pipeline.event import Event
    from adaf_pipeline.plan import Facts, Plan
    from adaf_pipeline.requests import Request
    from adaf_pipeline.roles import StackView

PROJECT = "adaf_pipeline"
spec = pluggy.HookspecMarker(PROJECT)
impl = pluggy.HookimplMarker(PROJECT)


@dataclass(frozen=True, slots=True)
class Backend:
    """What fills a role: ``Backend("balancer", "haproxy", "adaf_haproxy.backend:HAProxy", "by runtime API")``."""

    role: str
    name: str
    target: str
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Guard:
    """A short periodic duty for the agent: ``check`` looks, and returns the Request that mends what it saw."""

    name: str
    every: float  # seconds
    deadline: float  # seconds one check may take
    check: Callable[[StackView], Request | None]


@spec
def adaf_backends() -> Iterable[Backend]:  # type: ignore[empty-body]
    """Return the backends this plugin provides: strings only, nothing imported."""


@spec
def adaf_tasks() -> Iterable[Task[Any] | Collection]:  # type: ignore[empty-body]
    """Return tasks made with ``adaf_pipeline.tasks.task``; a name that is taken is refused."""


@spec
def adaf_guards(stack: StackView) -> Iterable[Guard]:  # type: ignore[empty-body]
    """Return the guards this plugin wants on duty."""


@spec(firstresult=True)
def adaf_plan(stack: StackView, request: Request, facts: Facts) -> Plan | None:
    """Answer a request with its Plan: a pure function of the arguments.

    Return None for what is not yours. With ``wrapper=True`` insert steps into the Plan that others made, or veto by
    raising. The core's own answer comes last.
    """


@spec
def adaf_event(stack: StackView, event: Event) -> None:
    """Observe one event; an exception here is reported once and never stops the run."""
