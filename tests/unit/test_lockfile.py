"""`inv lockfile` over fakes: all faults at once, and what --fix does about them."""

from __future__ import annotations

from typing import cast

import pytest

from adaf_pipeline.engine import Engine
from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.requests import LockfileRequest
from adaf_pipeline.roles import Fault, Locked, Progress
from adaf_pipeline.stack import Stack
from adaf_pipeline.testing.app import FakeApp


def the_app(stack: Stack) -> FakeApp:
    return cast(FakeApp, stack.apps["web"])


def test_a_sound_lock_is_named(stack: Stack) -> None:
    document = Engine(stack).run(LockfileRequest()).document
    assert (document["ok"], document["how"], document["fixed"]) == (True, "a fake lock", [])


def test_every_fault_is_told_with_its_command(stack: Stack) -> None:
    faults = (Fault("two locks", "rm one"), Fault("out of step", "pnpm install", ("next: 14, 15",), lambda _p: None))
    the_app(stack).faults = faults
    error = Engine(stack).run(LockfileRequest()).error
    assert error is not None
    assert (error.exit_code, error.message, error.hint) == (6, "two locks", "rm one")
    assert error.detail == ("also: out of step", "      next: 14, 15", "      pnpm install")
    the_app(stack).faults = faults[1:]
    error = Engine(stack).run(LockfileRequest()).error
    assert error is not None
    assert (error.hint, error.detail) == ("pnpm install (or: inv lockfile --fix)", ("next: 14, 15",))


def test_only_what_can_be_mended_safely_is_mended(stack: Stack) -> None:
    app = the_app(stack)

    def mend(_progress: Progress) -> None:
        app.faults = app.faults[1:]

    app.faults = (Fault("stale", "a", fix=mend), Fault("for a person", "b"))
    engine = Engine(stack)
    assert [step.id for step in engine.plan(LockfileRequest(fix=True)).steps] == ["fix-1", "check"]
    assert [step.id for step in engine.plan(LockfileRequest()).steps] == ["check"]
    assert app.faults[0].what == "stale", "a plan changed something"
    document = engine.run(LockfileRequest(fix=True)).document
    assert (document["ok"], document["error"]) == (False, "for a person")
    app.faults = (Fault("stale", "a", fix=mend),)
    document = engine.run(LockfileRequest(fix=True)).document
    assert (document["ok"], document["fixed"]) == (True, ["stale"])


def test_a_mend_that_fails_is_an_error(stack: Stack) -> None:
    def fail(_progress: Progress) -> None:
        raise PreconditionError("no network", "look at it")

    the_app(stack).faults = (Fault("stale", "a", fix=fail),)
    document = Engine(stack).run(LockfileRequest(fix=True)).document
    assert (document["ok"], document["error"], document["exit"]) == (False, "no network", 6)


def test_nothing_is_asked_of_a_backend_without_locks(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeApp, "locked", lambda _app: Locked())
    document = Engine(stack).run(LockfileRequest()).document
    assert document["ok"] and document["how"] == "nothing is locked: its backend has no lock file"
