"""A clock that is set, or stands still, in the middle of a deploy: neither a good release goes back nor a bad one on."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from deploy_world import World, change, deploy, weights

from adaf_pipeline.stack import Stack
from adaf_pipeline.workflows.clock import SteadyClock

REAL = time.time
KINDS: dict[str, Callable[[float], float]] = {
    "an hour back": lambda _since: REAL() - 3600,
    "an hour forth": lambda _since: REAL() + 3600,
    "stopped": lambda since: since,
}


@pytest.fixture(params=KINDS)
def odd_clock(request: pytest.FixtureRequest, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first visitor of a canary on."""
    kind = KINDS[request.param]
    since: list[float] = []
    step = world.step

    def turn() -> None:
        if not since and world.balancer is not None and world.balancer.share().get("green", 0) not in (0, 100):
            since.append(REAL())
        step()

    monkeypatch.setattr(world, "step", turn)
    monkeypatch.setattr(time, "time", lambda: kind(since[0]) if since else REAL())


@pytest.mark.usefixtures("odd_clock")
def test_a_good_release_passes(stack: Stack) -> None:
    deploy(stack)
    change(stack, "two\n")
    result = deploy(stack)
    assert result.document["ok"], result.document
    assert [v["outcome"] for v in result.document["verdict"]] == ["pass", "pass", "pass"]


@pytest.mark.usefixtures("odd_clock")
def test_a_bad_release_does_not(stack: Stack, world: World) -> None:
    deploy(stack)
    change(stack, "two\n")
    world.fails = lambda colour, number: colour == "green" and number % 3 == 0
    result = deploy(stack)
    assert result.document["exit"] == 4
    assert "against green being no worse" in result.document["error"]
    assert weights(result) == {"blue": 100.0}


def test_a_steady_clock_goes_on_and_knows_by_how_much_the_other_jumped(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SteadyClock()
    assert abs(clock.now() - REAL()) < 1 and abs(clock.jump()) < 1
    monkeypatch.setattr(time, "time", lambda: REAL() - 3600)
    assert abs(clock.now() - REAL()) < 1
    assert -3601 < clock.jump() < -3599
