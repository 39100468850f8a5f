"""Rollback, and what is left by runs that died, over fakes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest
from deploy_world import World, change, deploy, weights

from adaf_pipeline.engine import Engine
from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.requests import DeployRequest, RollbackRequest, UpRequest
from adaf_pipeline.stack import Stack
from adaf_pipeline.testing.app import FakeApp
from adaf_pipeline.testing.balancer import FakeBalancer
from adaf_pipeline.testing.runtime import FakeRuntime
from adaf_pipeline.workflows import rollback
from adaf_pipeline.workflows.releases import Releases


def test_a_warm_release_that_does_not_start_does_not_stop_up(stack: Stack) -> None:
    deploy(stack)
    change(stack, "two\n")
    release = deploy(stack).document["release"]
    runtime = cast(FakeRuntime, stack.runtime)
    runtime.running.clear()
    runtime.broken["web.blue.1"] = "it ends again and again"
    result = Engine(stack).run(UpRequest())
    assert result.document["ok"] and result.document["release"] == release
    change(stack, "three\n")
    assert not deploy(stack).document["ok"]  # blue's place is where the new one would run
    del runtime.broken["web.blue.1"]
    assert deploy(stack).document["ok"]


def test_a_share_left_by_a_run_that_died_is_settled_first(stack: Stack) -> None:
    deploy(stack)
    stack.balancer.set_share({"blue": 80.0, "green": 20.0})
    change(stack, "two\n")
    result = deploy(stack)
    assert result.document["ok"]
    shares = [share["green"] for share in cast(FakeBalancer, stack.balancer).history]
    assert shares == [0.0, 20.0, 0.0, 20.0, 50.0, 100.0]


def test_rollback_of_a_canary_whose_run_died_goes_back_to_what_is_live(stack: Stack) -> None:
    first = deploy(stack).document["release"]
    change(stack, "two\n")
    second = deploy(stack).document["release"]
    stack.balancer.set_share({"blue": 20.0, "green": 80.0})
    result = Engine(stack).run(RollbackRequest())
    assert (result.document["release"], result.document["replaced"]) == (second, first)
    assert weights(result) == {"green": 100.0}


def test_damaged_records_are_named(stack: Stack) -> None:
    deploy(stack)
    path = stack.state / "colours.json"
    path.write_text("{")
    with pytest.raises(PreconditionError, match=r"colours\.json: damaged"):
        Engine(stack).plan(DeployRequest())


def test_rollback_flips_to_the_warm_release_and_back_is_refused_without_a_good_one(stack: Stack) -> None:
    first = deploy(stack).document["release"]
    change(stack, "two\n")
    second = deploy(stack).document["release"]
    result = Engine(stack).run(RollbackRequest())
    assert result.document["ok"], result.document
    assert (result.document["release"], result.document["replaced"]) == (first, second)
    assert weights(result) == {"blue": 100.0}
    with pytest.raises(PreconditionError, match=f"no good release before {first}"):
        Engine(stack).plan(RollbackRequest())
    again = Engine(stack).run(RollbackRequest(to=second[:6]))
    assert again.document["release"] == second


def test_the_balancer_learns_where_processes_are_before_they_get_visitors(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a start, and of what was warm all along: it may have been restarted since."""
    seen: list[str] = []
    balancer = cast(FakeBalancer, stack.balancer)
    share = balancer.set_share

    def set_share(to: Mapping[str, float]) -> None:
        seen.append("visitors" if to.get("blue") else "none")
        share(to)

    monkeypatch.setattr(balancer, "locate", lambda instances: seen.extend(instances))
    monkeypatch.setattr(balancer, "set_share", set_share)
    deploy(stack)
    assert seen.index("web.blue.1") < seen.index("visitors")
    change(stack, "two\n")
    deploy(stack)
    seen.clear()
    Engine(stack).run(RollbackRequest())
    assert seen.index("web.blue.1") < seen.index("visitors")
    seen.clear()
    Engine(stack).run(UpRequest())
    assert seen == ["web.blue.1"]


def test_rollback_never_goes_to_what_does_not_answer(stack: Stack) -> None:
    deploy(stack)
    change(stack, "two\n")
    second = deploy(stack).document["release"]
    cast(FakeRuntime, stack.runtime).sick["web.blue.1"] = "connection refused"
    result = Engine(stack).run(RollbackRequest())
    assert result.document["exit"] == 4
    assert f"release {second} still serves" in result.document["hint"]
    assert dict(stack.balancer.share())["green"] == 100.0


def test_rollback_starts_a_release_that_is_no_longer_warm(stack: Stack) -> None:
    first = deploy(stack).document["release"]
    change(stack, "two\n")
    deploy(stack)
    stack.runtime.stop(["web.blue.1"], lambda _m: None)
    result = Engine(stack).run(RollbackRequest())
    assert result.document["release"] == first
    assert stack.runtime.observe()["web.blue.1"].ready


def test_a_release_that_was_built_before_is_deployed_by_the_beginning_of_its_id(stack: Stack) -> None:
    first = deploy(stack).document["release"]
    change(stack, "two\n")
    deploy(stack)
    result = deploy(stack, release=first[:5])
    assert result.document["release"] == first
    assert cast(FakeApp, stack.apps["web"]).builds == 2
    with pytest.raises(PreconditionError, match="no release zzz"):
        Engine(stack).plan(DeployRequest(release="zzz"))


def test_up_after_a_reboot_brings_back_what_was_live(stack: Stack) -> None:
    release = deploy(stack).document["release"]
    cast(FakeRuntime, stack.runtime).running.clear()
    result = Engine(stack).run(UpRequest())
    assert result.document["release"] == release
    assert stack.runtime.observe()["web.blue.1"].ready


def settings(stack: Stack, monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    """adaf.yaml says another environment for the application."""
    made = FakeApp.service

    def service(app: FakeApp, *which: Any) -> Any:
        return replace(made(app, *which), environment={"LOG_LEVEL": (level,)})

    monkeypatch.setattr(stack.apps["web"], "service", service.__get__(stack.apps["web"]))


def test_rollback_after_a_deploy_of_other_settings_goes_back_to_the_settings_not_to_an_older_release(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = deploy(stack).document["release"]
    change(stack, "two\n")
    second = deploy(stack).document["release"]
    settings(stack, monkeypatch, "worse")
    assert deploy(stack).document["release"] == second
    result = Engine(stack).run(RollbackRequest())
    assert result.document["ok"], result.document
    assert (result.document["release"], weights(result)) == (second, {"green": 100.0})
    assert "with the settings that it had before" in result.lines[0]
    again = Engine(stack).run(RollbackRequest())  # what was left is not gone back to
    assert (again.document["release"], again.document["replaced"]) == (first, second)


def test_settings_that_were_taken_back_leave_their_release_good(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(stack)
    change(stack, "two\n")
    second = deploy(stack).document["release"]
    settings(stack, monkeypatch, "worse")
    deploy(stack)
    Engine(stack).run(RollbackRequest())
    change(stack, "three\n")
    deploy(stack)
    assert Engine(stack).run(RollbackRequest()).document["release"] == second


def test_after_down_and_up_a_release_runs_with_the_settings_of_today(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = deploy(stack).document["release"]
    change(stack, "two\n")
    deploy(stack)
    settings(stack, monkeypatch, "better")
    deploy(stack)
    cast(FakeRuntime, stack.runtime).running.clear()
    up = Engine(stack).run(UpRequest())
    assert up.document["outdated"] is False and len(up.lines) == 2
    assert Engine(stack).run(RollbackRequest()).document["release"] == first  # both colours have the new settings


def test_a_rollback_says_what_else_the_probes_met() -> None:
    document: dict[str, Any] = {"url": "http://x", "release": "aa", "replaced": "bb", "flip_seconds": 0.004}
    said = list(rollback._report({**document, "receipt": {"sent": 402, "lost": 0, "errors": 121}}))
    assert said[1].endswith("402 sent, 0 lost, 121 errors") and "inv logs --service proxy.1" in said[2]


def test_rollback_to_what_its_deploy_took_back_says_so(stack: Stack, world: World) -> None:
    deploy(stack)
    change(stack, "two\n")
    world.fails = lambda colour, _number: colour == "green"
    bad = deploy(stack).document["tried"]
    (flip,) = [step for step in Engine(stack).plan(RollbackRequest(to=bad)).steps if step.id == "flip"]
    assert "which its newest deploy took back" in flip.why
    world.fails = lambda _colour, _number: False
    deploy(stack)
    assert not Releases(stack.state).taken_back(bad)


def test_up_says_of_a_died_canary_that_does_not_start_that_it_has_visitors(stack: Stack) -> None:
    deploy(stack)
    change(stack, "two\n")
    deploy(stack)
    stack.balancer.set_share({"blue": 20.0, "green": 80.0})
    runtime = cast(FakeRuntime, stack.runtime)
    runtime.running.clear()
    runtime.broken["web.blue.1"] = "it ends again and again"
    told: list[str] = []
    result = Engine(stack, (lambda event: told.append(event.message),)).run(UpRequest())
    assert result.document["ok"]
    assert any("has 20 % of the visitors: `inv rollback` takes them off" in line for line in told)
