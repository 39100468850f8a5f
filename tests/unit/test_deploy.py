"""The deploy workflow over fakes: what happens in which order, and what is left when it fails."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any, cast

import pytest
from deploy_world import LATER, World, change, deploy, weights

from adaf_pipeline import control
from adaf_pipeline.engine import Engine
from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.event import Event
from adaf_pipeline.requests import BuildRequest, DeployRequest, UpRequest
from adaf_pipeline.roles import Problem, Workplace
from adaf_pipeline.service import Limits
from adaf_pipeline.stack import Stack
from adaf_pipeline.testing.app import FakeApp
from adaf_pipeline.testing.balancer import FakeBalancer
from adaf_pipeline.testing.runtime import FakeRuntime
from adaf_pipeline.workflows.receipt import Result as Probed
from adaf_pipeline.workflows.releases import Releases
from adaf_pipeline.workflows.status import status


def test_the_first_release_goes_straight_to_all_and_is_judged_alone(stack: Stack) -> None:
    result = deploy(stack)
    assert result.document["ok"], result.document
    assert weights(result) == {"blue": 100.0}
    assert [v["step"] for v in result.document["verdict"]] == ["bake"]
    assert "no stable colour" in result.document["verdict"][0]["reason"]
    assert result.document["release"] == Releases(stack.state).colours()["blue"]["release"]


def test_the_second_release_goes_through_its_canary_and_the_first_stays_warm(stack: Stack) -> None:
    first = deploy(stack).document["release"]
    change(stack, "two\n")
    result = deploy(stack)
    assert result.document["ok"], result.document
    assert weights(result) == {"green": 100.0}
    assert [v["outcome"] for v in result.document["verdict"]] == ["pass", "pass", "pass"]
    shares = [share["green"] for share in cast(FakeBalancer, stack.balancer).history]
    assert shares == [0.0, 20.0, 50.0, 100.0]
    assert stack.runtime.observe()["web.blue.1"].state == "up"
    assert Releases(stack.state).previous_good(result.document["release"]) == first


def test_an_unchanged_release_does_nothing_unless_forced(stack: Stack) -> None:
    deploy(stack)
    again = deploy(stack)
    assert again.document["ok"]
    assert "is live already" in again.document["nothing"]
    assert cast(FakeApp, stack.apps["web"]).builds == 1
    forced = deploy(stack, force=True)
    assert weights(forced) == {"green": 100.0}
    assert cast(FakeApp, stack.apps["web"]).builds == 1


def test_a_failing_canary_is_rolled_back_and_the_old_release_serves(stack: Stack, world: World) -> None:
    first = deploy(stack).document["release"]
    change(stack, "bad\n")
    world.fails = lambda colour, number: colour == "green" and number % 5 == 0
    result = deploy(stack)
    assert result.document["exit"] == 4
    assert result.document["error"].startswith("canary at 20 %: green failed")
    assert weights(result) == {"blue": 100.0}
    assert result.document["release"] == first
    assert result.document["tried"] != first
    assert "web.green.1" not in stack.runtime.observe()
    assert Releases(stack.state).history()[-1]["outcome"] == "rolled back"


def test_failures_of_both_colours_do_not_fail_the_canary(stack: Stack, world: World) -> None:
    deploy(stack)
    change(stack, "two\n")
    world.fails = lambda _colour, number: number % 50 == 0
    assert deploy(stack).document["ok"]


def test_no_traffic_is_not_a_pass(stack: Stack, world: World) -> None:
    deploy(stack)
    change(stack, "two\n")
    world.quiet = True
    result = deploy(stack)
    assert result.document["exit"] == 4
    assert "not enough data" in result.document["error"]
    assert weights(result) == {"blue": 100.0}


def test_missing_log_lines_are_not_a_pass(stack: Stack, world: World) -> None:
    deploy(stack)
    change(stack, "two\n")
    real = world.step

    def step() -> None:
        real()
        cast(FakeBalancer, stack.balancer).lose()

    world.step = step  # type: ignore[method-assign]
    result = deploy(stack)
    assert "lines of the log are missing" in result.document["error"]


def test_a_lost_probe_fails_the_verdict(stack: Stack, world: World) -> None:
    deploy(stack)
    change(stack, "two\n")
    world.probed = [Probed(LATER, "GET", "reused", 0, "closed", 0.1, "", None, "x")]
    result = deploy(stack)
    assert result.document["exit"] == 4
    assert "1 lost" in result.document["error"]
    assert result.document["receipt"]["lost"] == 1
    assert weights(result) == {"blue": 100.0}


def test_a_duplicated_probe_fails_the_verdict(stack: Stack, world: World) -> None:
    deploy(stack)
    change(stack, "two\n")
    world.probed = [Probed(LATER, "POST", "reused", 200, "", 0.1, "r", 2, "x")]
    assert "1 duplicated" in deploy(stack).document["error"]


def test_what_was_lost_before_the_first_change_is_not_the_deploys_doing(stack: Stack, world: World) -> None:
    deploy(stack)
    change(stack, "two\n")
    world.probed = [Probed(time.time(), "GET", "reused", 0, "closed", 0.1, "", None, "x")]
    result = deploy(stack)
    assert result.document["ok"], result.document
    assert result.document["receipt"]["lost"] == 1


def test_a_release_that_refuses_what_the_old_one_answered_is_rolled_back(stack: Stack, world: World) -> None:
    first = deploy(stack).document["release"]
    change(stack, "two\n")
    release = Engine(stack).run(BuildRequest()).document["release"]
    good = Probed(time.time(), "GET", "fresh", 200, "", 0.1, first, None, "x")
    world.probed = [good, Probed(LATER, "GET", "fresh", 404, "", 0.1, release, None, "y")]
    result = deploy(stack)
    assert result.document["exit"] == 4
    assert "1 probes were refused (HTTP 404 to GET)" in result.document["error"]
    world.probed = [dataclasses.replace(good, status=404), *world.probed]  # so did the old one
    assert deploy(stack).document["ok"]


def test_promote_does_not_skip_the_bake(stack: Stack, world: World) -> None:
    deploy(stack)
    change(stack, "two\n")
    balancer = cast(FakeBalancer, stack.balancer)
    world.fails = lambda colour, number: balancer.share()["green"] == 100 and number % 3 == 0

    def ask(event: Event) -> None:
        if event.kind == "begin" and event.step == "bake":
            control.ask(stack.state, event.run, "promote", "me")

    result = Engine(stack, (ask,)).run(DeployRequest())
    assert result.document["error"].startswith("bake: green failed")
    assert result.document["verdict"][-1]["step"] == "bake"
    assert result.document["verdict"][-1]["outcome"] == "fail"


def test_a_deploy_does_not_restart_what_runs_besides(stack: Stack) -> None:
    deploy(stack)
    change(stack, "two\n")
    runtime = cast(FakeRuntime, stack.runtime)
    runtime.running["proxy.1"] = dataclasses.replace(runtime.running["proxy.1"], user="other")
    with pytest.raises(PreconditionError, match=r"proxy\.1 \(restart\)"):
        Engine(stack).plan(DeployRequest())
    assert Engine(stack).run(UpRequest()).document["ok"]
    assert deploy(stack).document["ok"]


def test_an_undo_that_fails_stops_nothing_that_has_visitors(
    stack: Stack, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(stack)
    change(stack, "bad\n")
    world.fails = lambda colour, _number: colour == "green"
    balancer = cast(FakeBalancer, stack.balancer)
    real = balancer.set_share

    def full(share: Any) -> None:
        if share.get("blue") == 100:
            raise OSError(28, "No space left on device")
        real(share)

    monkeypatch.setattr(balancer, "set_share", full)
    result = deploy(stack)
    assert [failed["id"] for failed in result.document["undo_failed"]] == ["canary-20", "start-green"]
    assert "undo of canary-20 failed" in result.document["hint"]
    assert stack.runtime.observe()["web.green.1"].state == "up"
    document = status(stack)
    assert not document["ok"] and "a deploy died in its canary: inv rollback" in document["bad"]


def test_a_bake_that_fails_flips_back(stack: Stack, world: World) -> None:
    deploy(stack)
    change(stack, "two\n")
    balancer = cast(FakeBalancer, stack.balancer)
    world.fails = lambda colour, number: balancer.share()["green"] == 100 and number % 3 == 0
    result = deploy(stack)
    assert result.document["error"].startswith("bake: green failed")
    assert weights(result) == {"blue": 100.0}


def test_never_ready_leaves_the_old_one_untouched(stack: Stack) -> None:
    deploy(stack)
    change(stack, "two\n")
    runtime = cast(FakeRuntime, stack.runtime)
    runtime.sick["web.green.1"] = "HTTP 503: database down"
    result = deploy(stack)
    assert result.document["exit"] == 4
    assert "did not answer 2 times in a row within 0.5 s: HTTP 503: database down" in result.document["error"]
    assert weights(result) == {"blue": 100.0}


def test_a_start_that_fails_says_so(stack: Stack) -> None:
    deploy(stack)
    change(stack, "two\n")
    cast(FakeRuntime, stack.runtime).broken["web.green.1"] = "it ends again and again (exit code 1)"
    result = deploy(stack)
    assert "it ends again and again" in result.document["error"]
    assert "web.green.1" not in stack.runtime.observe()
    assert stack.runtime.observe()["web.blue.1"].ready


def test_type_errors_stop_before_the_build(stack: Stack) -> None:
    cast(FakeApp, stack.apps["web"]).problems = (Problem("a.ts", 3, "TS2322", "not a number"),)
    result = deploy(stack)
    assert result.document["error"] == "1 type error in web"
    assert result.error is not None and result.error.detail == ("a.ts", "  line 3: not a number [TS2322]")
    assert cast(FakeApp, stack.apps["web"]).builds == 0


def test_a_failed_migration_stops_before_the_idle_colour_starts(stack: Stack) -> None:
    deploy(stack)
    folder = stack.checkout / "app" / "migrations"
    folder.mkdir()
    (folder / "0001_bad.sql").write_text("select broken from nowhere")
    result = deploy(stack)
    assert not result.document["ok"]
    assert "0001_bad.sql" in result.document["error"]
    assert "web.green.1" not in stack.runtime.observe()


def test_a_migration_that_is_a_link_out_of_the_release_is_not_read(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("root:$y$j9T$of-root")
    build = FakeApp.build

    def planted(app: FakeApp, place: Workplace) -> None:
        build(app, place)
        (place.output / "migrations").mkdir()
        (place.output / "migrations" / "0001_a.sql").symlink_to(tmp_path / "secret")

    monkeypatch.setattr(FakeApp, "build", planted)
    result = deploy(stack)
    assert "0001_a.sql: a link that leads out of the release" in result.document["error"]
    said = "".join(path.read_text() for path in (stack.state / "runs").iterdir())
    assert "j9T" not in str(result.document) + said


def test_what_the_old_colour_gives_back_counts_as_free_memory(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for body in ("one\n", "two\n"):
        change(stack, body)
        assert deploy(stack).document["ok"]
    change(stack, "three\n")
    service, observe = FakeApp.service, FakeRuntime.observe
    limited = Limits(memory_mb=450)
    monkeypatch.setattr(FakeApp, "service", lambda *words: dataclasses.replace(service(*words), limits=limited))
    held = {"web.blue.1": 100.0, "web.green.1": 100.0, "database.1": 900.0}
    monkeypatch.setattr(
        FakeRuntime,
        "observe",
        lambda self: {
            name: dataclasses.replace(seen, memory_mb=held.get(name, 0)) for name, seen in observe(self).items()
        },
    )
    monkeypatch.setattr("adaf_pipeline.workflows.deploy._free_memory", lambda: 549)
    with pytest.raises(PreconditionError, match="649 MB of memory are free"):
        Engine(stack).plan(DeployRequest())
    monkeypatch.setattr("adaf_pipeline.workflows.deploy._free_memory", lambda: 550)
    assert Engine(stack).plan(DeployRequest()).steps


def test_promote_skips_the_remaining_steps(stack: Stack, world: World) -> None:
    deploy(stack)
    change(stack, "two\n")

    def ask(event: Event) -> None:
        if event.kind == "begin" and event.step == "canary-20":
            control.ask(stack.state, event.run, "promote", "me")

    result = Engine(stack, (ask,)).run(DeployRequest(canary=(20.0, 50.0)))
    assert result.document["ok"]
    assert [v["outcome"] for v in result.document["verdict"]][:2] == ["skipped", "skipped"]


def test_a_held_deploy_needs_one_promote_a_step(stack: Stack) -> None:
    deploy(stack)
    change(stack, "two\n")
    asked: list[str] = []

    def ask(event: Event) -> None:
        if event.kind == "progress" and event.step.startswith("canary-") and "held for" in event.message:
            asked.append(event.step)
            control.ask(stack.state, event.run, "promote", "me")

    result = Engine(stack, (ask,)).run(DeployRequest(canary=(20.0, 50.0), hold=True))
    assert result.document["ok"]
    assert [v["outcome"] for v in result.document["verdict"]][:2] == ["promoted", "promoted"]
    assert asked == ["canary-20", "canary-50"]


def test_a_first_release_has_no_step_to_hold_at_and_says_so(stack: Stack) -> None:
    plan = Engine(stack).plan(DeployRequest(canary=(20.0,), hold=True))
    (why,) = [step.why for step in plan.steps if step.id == "preflight"]
    assert why == "nothing is live yet, so there is no step to hold at"


def test_a_held_deploy_that_does_not_hold_is_rolled_back(stack: Stack, world: World) -> None:
    deploy(stack)
    change(stack, "bad\n")
    world.fails = lambda colour, _number: colour == "green"
    result = Engine(stack).run(DeployRequest(canary=(20.0,), hold=True))
    assert result.document["exit"] == 4
    assert weights(result) == {"blue": 100.0}


def test_a_rollback_asked_from_outside_undoes_the_deploy(stack: Stack) -> None:
    deploy(stack)
    change(stack, "two\n")

    def ask(event: Event) -> None:
        if event.kind == "begin" and event.step == "canary-50":
            control.ask(stack.state, event.run, "undo", "me")

    result = Engine(stack, (ask,)).run(DeployRequest(canary=(20.0, 50.0)))
    assert result.document["error"] == "me asked for a rollback"
    assert weights(result) == {"blue": 100.0}


def test_a_fix_is_shipped_past_a_live_release_that_does_not_answer(stack: Stack, world: World) -> None:
    deploy(stack)
    change(stack, "fix\n")
    cast(FakeRuntime, stack.runtime).sick["web.blue.1"] = "connection refused"
    world.fails = lambda colour, _number: colour == "blue"
    result = deploy(stack)
    assert result.document["ok"], result.document
    assert weights(result) == {"green": 100.0}
    assert [v["step"] for v in result.document["verdict"]] == ["bake"]


def test_a_plan_names_every_step_and_changes_nothing(stack: Stack) -> None:
    plan = Engine(stack).plan(DeployRequest(canary=(20.0, 50.0)))
    ids = [step.id for step in plan.steps]
    assert ids == [
        "secrets", "services", "database", "share", "typecheck", "build",
        "preflight", "migrate", "start-blue", "ready", "full", "bake", "confirm",
    ]  # fmt: skip
    assert [step.id for step in plan.steps if step.pivot] == ["confirm"]
    assert stack.runtime.observe() == {}
