"""How one command reaches a deploy that another one runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from adaf_pipeline import control, journal, lock
from adaf_pipeline.errors import LockedError, PreconditionError, UnhealthyError
from adaf_pipeline.event import Event, Json
from adaf_pipeline.stack import Stack
from adaf_pipeline.workflows.releases import Releases, live_colour

PATIENCE = 900.0  # seconds a promoted deploy may take to bake
UNDO = 120.0  # seconds an undo may take
TOLD = {"begin": "", "failed": "FAILED ", "undo": "undo "}  # of the other run, while one waits for it


def promote(stack: Stack) -> dict[str, Json]:
    """Ask the running deploy to go on at once, and wait for its end, or for the next step that it holds at.

    PreconditionError when none runs.
    """
    owner = _deploy(stack)
    if owner is None:
        raise PreconditionError("no deploy is running", "inv status; inv deploy --canary starts one")
    run = str(owner["run"])
    seen = len(_events(stack, run))
    control.ask(stack.state, run, "promote", lock.who())
    print(f"asked run {run}; waiting for it", file=sys.stderr)
    step = _until_gone(stack, run, PATIENCE, lambda: _next_held(stack, run, seen))
    if step:
        return {"ok": True, "task": "promote", "run": run, "step": step, **_live(stack)}
    if not _ended_well(stack, str(owner["run"])):
        raise UnhealthyError(
            "the deploy did not hold and was rolled back", f"inv releases; {stack.state}/runs has its journal"
        )
    return {"ok": True, "task": "promote", "run": run, "step": "", **_live(stack)}


def preempt(stack: Stack) -> dict[str, Json] | None:
    """Ask a running deploy to undo itself and wait. None when none runs, or when it had been past its pivot."""
    owner = _deploy(stack)
    if owner is None:
        return None
    control.ask(stack.state, str(owner["run"]), "undo", lock.who())
    print(f"asked run {owner['run']} to undo; waiting for it", file=sys.stderr)
    _until_gone(stack, str(owner["run"]), UNDO)
    if _ended_well(stack, str(owner["run"])):
        return None
    return {"ok": True, "task": "rollback", "run": owner["run"], **_live(stack)}


def _deploy(stack: Stack) -> dict[str, Json] | None:
    owner = lock.owner(stack.state)
    if owner is not None and owner["task"] != "deploy":
        raise LockedError(
            f"the stack is held by `{owner['task']}` of {owner['who']} (pid {owner['pid']})",
            "wait for it, or look with `inv status`",
        )
    return owner


def _until_gone(stack: Stack, run: str, seconds: float, unless: Callable[[], str] = lambda: "") -> str:
    """Wait until the run ended (returns ""), or until ``unless`` says something (returns that); tell of each step."""
    deadline, told = time.monotonic() + seconds, len(_events(stack, run))
    while True:
        owner = lock.owner(stack.state)
        events = _events(stack, run)
        for event in events[told:]:
            if event.kind in TOLD:
                print(f"  {TOLD[event.kind]}{event.step}: {event.message}", file=sys.stderr, flush=True)
        told = len(events)
        said = unless()
        if said or owner is None or owner["run"] != run:
            return said
        if time.monotonic() > deadline:
            raise LockedError(f"run {run} did not end within {seconds:g} s", f"pid {owner['pid']} holds the stack")
        time.sleep(0.1)


def _next_held(stack: Stack, run: str, seen: int) -> str:
    """The canary step at which a held deploy stopped after its first ``seen`` events; "" when there is none."""
    events = _events(stack, run)
    if not events or not events[0].data.get("request", {}).get("hold"):
        return ""
    return next((e.step for e in events[seen:] if e.kind == "begin" and e.step.startswith("canary-")), "")


def _events(stack: Stack, run: str) -> list[Event]:
    try:
        return list(journal.read(journal.directory(stack.state) / f"{run}.jsonl"))
    except FileNotFoundError:  # it has the lock, and is about to write its first line
        return []


def _ended_well(stack: Stack, run: str) -> bool:
    events = _events(stack, run)
    return bool(events) and events[-1].kind == "end" and bool(events[-1].data.get("ok"))


def _live(stack: Stack) -> dict[str, Json]:
    colour = live_colour(stack)
    release = str(Releases(stack.state).colours().get(colour, {}).get("release", ""))
    return {"url": stack.proxy.url(), "release": release, "weights": dict(stack.balancer.share())}
