"""The deploy workflow over fakes: what happens in which order, and what is left when it fails."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from adaf_pipeline import control
from adaf_pipeline.engine import Engine, Result
from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.event import Event
from adaf_pipeline.requests import DeployRequest, RollbackRequest, UpRequest
from adaf_pipeline.roles import Problem
from adaf_pipeline.stack import Stack
from adaf_pipeline.testing.balancer import FakeBalancer
from adaf_pipeline.testing.runtime import FakeRuntime
from adaf_pipeline.testing.stack import FakeApp, fake_stack
from adaf_pipeline.workflows import rollback, watch
from adaf_pipeline.workflows.receipt import Result as Probed
from adaf_pipeline.workflows.releases import Releases

FAST = """
deploy: {steps: [20, 50], window: 0.1, max_windows: 3, bake: 0.1, passes: 2, ready_timeout: 0.5, warmup: 0, probe: {baseline: 0}}
"""


class World:
    """Visitors: ``fails`` decides whether a colour's answer is an error; ``lost`` is what the probes lose."""

    def __init__(self) -> None:
        self.fails: Callable[[str, int], bool] = lambda _colour, _number: False
        self.quiet = False
        self.probed: list[Probed] = []
        self.balancer: FakeBalancer | None = None
        self.numbers = itertools.count()

    def step(self) -> None:
        if self.balancer is None or self.quiet:
            return
        for number in itertools.islice(self.numbers, 200):
            colour = self.balancer.place(f"v{number}")
            if colour:
                self.balancer.serve(f"v{number}", failed=self.fails(colour, number))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()

    class Stream:
        def __init__(self, *_args: object) -> None: ...

        missed = 0

        def start(self) -> None: ...

        def stop(self) -> None: ...

        def close(self) -> None: ...

        def results(self) -> tuple[Probed, ...]:
            made.step()
            return tuple(made.probed)

    monkeypatch.setattr(watch.probe, "ProbeStream", Stream)
    monkeypatch.setattr(watch, "TICK", 0.02)
    monkeypatch.setattr(watch, "GLANCE", 0.01)
    monkeypatch.setattr(rollback, "AFTER", 0)
    return made


@pytest.fixture
def stack(tmp_path: Path, world: World) -> Iterator[Stack]:
    made = fake_stack(tmp_path, FAST)
    world.balancer = cast(FakeBalancer, made.balancer)
    yield made


def deploy(stack: Stack, **flags: Any) -> Result:
    return Engine(stack).run(DeployRequest(**{"canary": (20.0, 50.0), **flags}))


def change(stack: Stack, body: str) -> None:
    (stack.checkout / "app" / "main.txt").write_text(body)


def weights(result: Result) -> dict[str, float]:
    return {colour: share for colour, share in result.document["weights"].items() if share}


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
    world.probed = [Probed(time.time(), "GET", "reused", 0, "closed", 0.1, "", None, "x")]
    result = deploy(stack)
    assert result.document["exit"] == 4
    assert "1 lost" in result.document["error"]
    assert result.document["receipt"]["lost"] == 1
    assert weights(result) == {"blue": 100.0}


def test_a_duplicated_probe_fails_the_verdict(stack: Stack, world: World) -> None:
    deploy(stack)
    change(stack, "two\n")
    world.probed = [Probed(time.time(), "POST", "reused", 200, "", 0.1, "r", 2, "x")]
    assert "1 duplicated" in deploy(stack).document["error"]


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


def test_promote_skips_the_remaining_steps(stack: Stack, world: World) -> None:
    deploy(stack)
    change(stack, "two\n")

    def ask(event: Event) -> None:
        if event.kind == "begin" and event.step == "canary-20":
            control.ask(stack.state, event.run, "promote", "me")

    result = Engine(stack, (ask,)).run(DeployRequest(canary=(20.0, 50.0)))
    assert result.document["ok"]
    assert [v["outcome"] for v in result.document["verdict"]][:2] == ["skipped", "skipped"]


def test_a_rollback_asked_from_outside_undoes_the_deploy(stack: Stack) -> None:
    deploy(stack)
    change(stack, "two\n")

    def ask(event: Event) -> None:
        if event.kind == "begin" and event.step == "canary-50":
            control.ask(stack.state, event.run, "undo", "me")

    result = Engine(stack, (ask,)).run(DeployRequest(canary=(20.0, 50.0)))
    assert result.document["error"] == "me asked for a rollback"
    assert weights(result) == {"blue": 100.0}


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


def test_a_fix_is_shipped_past_a_live_release_that_does_not_answer(stack: Stack, world: World) -> None:
    deploy(stack)
    change(stack, "fix\n")
    cast(FakeRuntime, stack.runtime).sick["web.blue.1"] = "connection refused"
    world.fails = lambda colour, _number: colour == "blue"
    result = deploy(stack)
    assert result.document["ok"], result.document
    assert weights(result) == {"green": 100.0}
    assert [v["step"] for v in result.document["verdict"]] == ["bake"]


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


def test_a_plan_names_every_step_and_changes_nothing(stack: Stack) -> None:
    plan = Engine(stack).plan(DeployRequest(canary=(20.0, 50.0)))
    ids = [step.id for step in plan.steps]
    assert ids == [
        "secrets", "services", "database", "share", "typecheck", "build",
        "preflight", "migrate", "start-blue", "ready", "full", "bake", "confirm",
    ]  # fmt: skip
    assert [step.id for step in plan.steps if step.pivot] == ["confirm"]
    assert stack.runtime.observe() == {}
