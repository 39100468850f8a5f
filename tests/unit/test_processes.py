"""Replicas and workers, over fakes: which processes a release is, and that there is never more than one set of workers."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from deploy_world import FAST, World, change, deploy

from adaf_pipeline import config
from adaf_pipeline.engine import Engine
from adaf_pipeline.errors import ConfigError
from adaf_pipeline.plugins import Registry
from adaf_pipeline.requests import DeployRequest, RollbackRequest, UpRequest
from adaf_pipeline.stack import Stack
from adaf_pipeline.testing import fakes
from adaf_pipeline.testing.runtime import FakeRuntime
from adaf_pipeline.testing.stack import FAKE
from adaf_pipeline.workflows import status
from adaf_pipeline.workflows.releases import Releases

APP = "apps: {web: {use: fake, path: app, %s}}"


def again(stack: Stack, app: str) -> Stack:
    """The same stack after somebody edited adaf.yaml; what runs goes on."""
    body = FAKE.replace("apps: {web: {use: fake, path: app}}", APP % app)
    (stack.checkout / "adaf.yaml").write_text(body + FAST)
    made = Stack(config.load(stack.checkout / "adaf.yaml"), stack.registry)
    made.__dict__["runtime"] = stack.runtime
    made.__dict__["balancer"] = stack.balancer
    stack.runtime.stack = stack.balancer.stack = made
    return made


def running(stack: Stack, beginning: str = "web.") -> dict[str, str]:
    """Release by service id."""
    found = cast(FakeRuntime, stack.runtime).running
    return {name: service.package for name, service in sorted(found.items()) if name.startswith(beginning)}


def release(stack: Stack) -> str:
    result = deploy(stack)
    assert result.document["ok"], result.document
    return str(result.document["release"])


# ------------------------------------------------------------------------------------------------------- replicas


def test_every_replica_of_a_colour_starts_is_awaited_and_stops(stack: Stack) -> None:
    stack = again(stack, "replicas: 3")
    first = release(stack)
    assert running(stack) == {f"web.blue.{n}": first for n in (1, 2, 3)}
    change(stack, "two\n")
    cast(FakeRuntime, stack.runtime).sick["web.green.2"] = "connection refused"
    refused = deploy(stack)
    assert refused.document["exit"] == 4
    assert "web.green.2: connection refused" in refused.document["error"]
    assert list(running(stack)) == ["web.blue.1", "web.blue.2", "web.blue.3"]


def test_more_replicas_come_with_up_and_fewer_go_with_it(stack: Stack) -> None:
    first = release(stack)
    more = again(stack, "replicas: 2")
    assert status.status(more)["bad"] == ["web.blue.2"]
    assert Engine(more).run(UpRequest()).document["ok"]
    assert running(more) == {"web.blue.1": first, "web.blue.2": first}
    fewer = again(more, "replicas: 1")
    assert Engine(fewer).run(UpRequest()).document["ok"]
    assert running(fewer) == {"web.blue.1": first}
    assert deploy(fewer).document["nothing"]


def test_new_replicas_run_before_the_balancer_knows_them_and_old_ones_end_after_it_forgot(stack: Stack) -> None:
    release(stack)
    more = again(stack, "replicas: 2")
    runtime = cast(FakeRuntime, more.runtime)
    balancer = runtime.running["balancer.1"]
    runtime.running["balancer.1"] = cast(FakeRuntime, more.runtime).running["proxy.1"]  # another digest
    ids = [step.id for step in Engine(more).plan(UpRequest()).steps]
    assert ids.index("releases") < ids.index("services")
    runtime.running["balancer.1"] = balancer
    Engine(more).run(UpRequest())
    fewer = again(more, "replicas: 1")
    order: list[str] = []
    start, stop = runtime.start, runtime.stop

    def started(services: object, progress: object) -> None:
        order.append("start")
        start(services, progress)  # type: ignore[arg-type]

    def stopped(names: list[str], progress: object) -> None:
        order.extend(names)
        stop(names, progress)  # type: ignore[arg-type]

    runtime.start, runtime.stop = started, stopped  # type: ignore[method-assign, assignment]
    Engine(fewer).run(UpRequest())
    assert order.index("start") < order.index("web.blue.2")


# -------------------------------------------------------------------------------------------------------- workers

MAIL = "workers: {mail: [mail.py, --queue, mail]}"


def test_the_worker_belongs_to_the_live_release_and_there_is_one(stack: Stack, world: World) -> None:
    stack = again(stack, MAIL)
    first = release(stack)
    assert running(stack, "web.mail") == {"web.mail.1": first}
    change(stack, "two\n")
    world.fails = lambda colour, _number: colour == "green"
    assert deploy(stack).document["exit"] == 4  # in its canary: the worker was not touched
    assert running(stack, "web.mail") == {"web.mail.1": first}
    assert cast(FakeRuntime, stack.runtime).started.count("web.mail.1") == 1
    world.fails = lambda _colour, _number: False
    second = release(stack)
    assert running(stack, "web.mail") == {"web.mail.1": second}
    assert Engine(stack).run(RollbackRequest()).document["ok"]
    assert running(stack, "web.mail") == {"web.mail.1": first}


def test_it_switches_last_before_the_pivot(stack: Stack) -> None:
    stack = again(stack, MAIL)
    steps = Engine(stack).plan(DeployRequest(canary=(20.0,))).steps
    assert [step.id for step in steps[-3:]] == ["bake", "workers", "confirm"]
    assert steps[-1].pivot and steps[-2].undo


def test_a_worker_that_does_not_start_takes_the_release_back(stack: Stack) -> None:
    stack = again(stack, MAIL)
    first = release(stack)
    change(stack, "two\n")
    runtime = cast(FakeRuntime, stack.runtime)
    start = runtime.start

    def refuse(services: tuple[object, ...], progress: object) -> None:
        for service in services:
            if service.id == "web.mail.1" and service.package != first:  # type: ignore[attr-defined]
                runtime.broken["web.mail.1"] = "it ends again and again"
        try:
            start(services, progress)  # type: ignore[arg-type]
        finally:
            runtime.broken.clear()

    runtime.start = refuse  # type: ignore[method-assign, assignment]
    refused = deploy(stack)
    assert refused.document["exit"] == 4, refused.document
    assert "web.mail.1" in refused.document["error"]
    assert running(stack) == {"web.blue.1": first, "web.mail.1": first}
    assert Releases(stack.state).workers() == "blue"


def test_a_worker_that_is_restarted_meanwhile_does_not_stay(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = again(stack, MAIL)
    runtime = cast(FakeRuntime, stack.runtime)
    observe = runtime.observe

    def crashing() -> object:
        runtime._pids["web.mail.1"] = runtime._pids.get("web.mail.1", 0) + 1
        return observe()

    monkeypatch.setattr(runtime, "observe", crashing)
    refused = deploy(stack)
    assert refused.document["exit"] == 4
    assert "web.mail.1 does not stay up" in refused.document["error"]
    assert running(stack) == {}


def test_a_removed_worker_ends_with_its_release_and_comes_back_with_it(stack: Stack) -> None:
    with_mail = again(stack, MAIL)
    first = release(with_mail)
    without = again(with_mail, "replicas: 1")
    assert Engine(without).run(UpRequest()).document["ok"]
    assert running(without, "web.mail") == {"web.mail.1": first}, "what it runs with changes through a deploy"
    change(without, "two\n")
    release(without)
    assert running(without, "web.mail") == {}
    assert Engine(without).run(RollbackRequest()).document["ok"]
    assert running(without, "web.mail") == {"web.mail.1": first}


def test_a_changed_command_alone_is_a_deploy(stack: Stack) -> None:
    one = again(stack, MAIL)
    first = release(one)
    other = again(one, "workers: {mail: [mail.py, --queue, other]}")
    assert not deploy(other).document.get("nothing")
    assert running(other, "web.mail") == {"web.mail.1": first}
    assert "other" in str(cast(FakeRuntime, other.runtime).running["web.mail.1"].argv)


def test_up_gives_the_workers_back_to_the_live_release_after_a_run_that_died(stack: Stack) -> None:
    stack = again(stack, MAIL)
    first = release(stack)
    change(stack, "two\n")
    second = release(stack)
    app = stack.apps["web"]
    cast(FakeRuntime, stack.runtime).start((app.worker("mail", ("mail.py",), first),), lambda _line: None)
    Releases(stack.state).give_workers("blue")  # a rollback that died after it had begun
    document = status.status(stack)
    assert "the workers are not those of the live release: inv up" in document["bad"]
    assert Engine(stack).run(UpRequest()).document["ok"]
    assert running(stack, "web.mail") == {"web.mail.1": second}
    assert status.status(stack)["ok"]


def test_a_machine_that_restarted_gets_its_worker_back(stack: Stack) -> None:
    stack = again(stack, MAIL)
    first = release(stack)
    cast(FakeRuntime, stack.runtime).running.clear()
    assert "web.mail.1" in status.status(stack)["bad"]
    assert Engine(stack).run(UpRequest()).document["ok"]
    assert running(stack) == {"web.blue.1": first, "web.mail.1": first}


# ------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("app", "path"),
    [
        ("replicas: 0", "apps/web/replicas"),
        ("replicas: 17", "apps/web/replicas"),
        ("replicas: two", "apps/web/replicas"),
        ("workers: [a]", "apps/web/workers"),
        ("workers: {blue: [a]}", "apps/web/workers"),
        ("workers: {Mail: [a]}", "apps/web/workers"),
        ("workers: {mail: []}", "apps/web/workers"),
        ("workers: {mail: a.py}", "apps/web/workers"),
        ('workers: {mail: [""]}', "apps/web/workers"),
    ],
)
def test_what_is_no_process_is_refused(tmp_path: Path, app: str, path: str) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "adaf.yaml").write_text(FAKE.replace("apps: {web: {use: fake, path: app}}", APP % app))
    registry = Registry()
    registry.add("fakes", fakes)
    with pytest.raises(ConfigError, match=path):
        _ = Stack(config.load(tmp_path / "adaf.yaml"), registry).apps
