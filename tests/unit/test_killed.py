"""What `kill -9` leaves, over fakes: at each step of a deploy, and again in the one after it."""

from __future__ import annotations

from typing import cast

import pytest
from deploy_world import change, deploy, weights
from test_processes import MAIL, again, release, running

from adaf_pipeline.engine import Engine
from adaf_pipeline.event import Event
from adaf_pipeline.requests import DeployRequest, RollbackRequest, UpRequest
from adaf_pipeline.stack import Stack
from adaf_pipeline.testing.balancer import FakeBalancer
from adaf_pipeline.testing.runtime import FakeRuntime
from adaf_pipeline.workflows import processes, status
from adaf_pipeline.workflows.releases import Releases, live_colour


class Killed(BaseException):
    """Nobody catches it, and nothing is undone."""


def killed(stack: Stack, monkeypatch: pytest.MonkeyPatch, step: str, *, after: bool = False) -> None:
    """A deploy that dies at the beginning of ``step``, or when that has just acted."""
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_undo", lambda *_args: None)

        def dies(event: Event) -> None:
            if (event.kind, event.step) == ("done" if after else "begin", step):
                raise Killed

        with pytest.raises(Killed):
            Engine(stack, (dies,)).run(DeployRequest(canary=(20.0, 50.0)))


def held(stack: Stack, colour: str) -> str:
    return str(Releases(stack.state).colours()[colour]["release"])


def weights_of(stack: Stack) -> dict[str, float]:
    return {colour: percent for colour, percent in stack.balancer.share().items() if percent}


def test_a_canary_is_not_what_is_live_only_because_its_place_was_confirmed_once(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(stack)
    change(stack, "two\n")
    killed(stack, monkeypatch, "bake")
    second = held(stack, "green")
    assert live_colour(stack) == "green", "it has all visitors"
    change(stack, "three\n")
    killed(stack, monkeypatch, "canary-20", after=True)
    third = held(stack, "blue")
    assert weights_of(stack) == {"blue": 20.0, "green": 80.0}
    assert live_colour(stack) == "green"
    result = Engine(stack).run(RollbackRequest())
    assert (result.document["release"], result.document["replaced"]) == (second, third)
    assert weights(result) == {"green": 100.0}


def test_rollback_to_a_third_release_first_takes_the_visitors_off_its_place(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = release(stack)
    change(stack, "two\n")
    release(stack)
    change(stack, "three\n")
    live = release(stack)
    change(stack, "four\n")
    killed(stack, monkeypatch, "canary-20", after=True)
    assert weights_of(stack) == {"blue": 80.0, "green": 20.0}
    runtime, balancer = cast(FakeRuntime, stack.runtime), cast(FakeBalancer, stack.balancer)
    stop, shares = runtime.stop, []

    def stopped(names: list[str], progress: object) -> None:
        shares.extend(balancer.share()["green"] for name in names if name.startswith("web.green"))
        stop(names, progress)  # type: ignore[arg-type]

    monkeypatch.setattr(runtime, "stop", stopped)
    result = Engine(stack).run(RollbackRequest(to=first))
    assert result.document["ok"], result.document
    assert (result.document["release"], live) == (first, held(stack, "blue"))
    assert shares == [0.0]


def test_workers_of_a_switch_that_died_are_nobodys(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = again(stack, MAIL)
    first = release(stack)
    change(stack, "two\n")
    runtime = cast(FakeRuntime, stack.runtime)
    start = runtime.start

    def dies(services: tuple[object, ...], progress: object) -> None:
        if any(service.role == "worker" for service in services):  # type: ignore[attr-defined]
            raise Killed
        start(services, progress)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_undo", lambda *_args: None)
        patch.setattr(runtime, "start", dies)
        with pytest.raises(Killed):
            deploy(stack)
    second = held(stack, "green")
    assert running(stack, "web.mail") == {"web.mail.1": first}
    assert live_colour(stack) == "green"
    assert processes.amiss(stack, stack.apps["web"], "green") == ["web.mail.1"]
    assert not status.status(stack)["ok"]
    assert Engine(stack).run(UpRequest()).document["ok"]
    assert running(stack, "web.mail") == {"web.mail.1": second}


@pytest.mark.parametrize("lost", ["colours.json", "releases"])
def test_up_never_stops_what_serves_because_a_record_of_it_is_gone(stack: Stack, lost: str) -> None:
    release(stack)
    place = stack.state / lost
    place.rename(place.with_name("aside"))  # what a damaged record's hint says
    Engine(stack).run(UpRequest())
    assert "web.blue.1" in running(stack)
    if lost == "colours.json":
        change(stack, "two\n")
        assert deploy(stack).document["ok"], "and deploy again, it says"
        assert list(running(stack)) == ["web.blue.1", "web.green.1"]


def test_a_damaged_record_of_an_old_release_takes_no_good_one_back(stack: Stack) -> None:
    release(stack)
    (stack.state / "records" / "0123456789ab.json").write_text("{")
    (stack.state / "releases" / "0123456789ab").mkdir()
    change(stack, "two\n")
    result = deploy(stack)
    assert result.document["ok"], result.document
    assert weights(result) == {"green": 100.0}


def test_rollback_to_what_serves_starts_only_what_of_it_is_down(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = again(stack, "replicas: 2")
    first = release(stack)
    change(stack, "two\n")
    killed(stack, monkeypatch, "canary-20", after=True)
    runtime = cast(FakeRuntime, stack.runtime)
    del runtime.running["web.blue.2"]
    stop, stopped = runtime.stop, []

    def noted(names: list[str], progress: object) -> None:
        stopped.extend(names)
        stop(names, progress)  # type: ignore[arg-type]

    monkeypatch.setattr(runtime, "stop", noted)
    result = Engine(stack).run(RollbackRequest())
    assert (result.document["release"], weights(result)) == (first, {"blue": 100.0})
    assert "web.blue.1" not in stopped and running(stack, "web.blue") == {"web.blue.1": first, "web.blue.2": first}
