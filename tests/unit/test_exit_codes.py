"""Every exit code, provoked through the program, with its two lines."""

# ruff: noqa: F811  a fixture is named twice: where it comes from and where it is used

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from adaf_pipeline import errors, lock
from adaf_pipeline.testing.app import FakeApp
from adaf_pipeline.testing.driving import Outcome, Pipeline
from adaf_pipeline.testing.plugin import pipeline  # noqa: F401


def well(pipeline: Pipeline) -> Outcome:
    return pipeline.run("deploy", "--canary")


def a_build_that_fails(pipeline: Pipeline) -> Outcome:
    app = pipeline.stack.apps["web"]
    assert isinstance(app, FakeApp)
    app.failure = "next build: exit 1"
    return pipeline.run("deploy")


def a_wrong_key(pipeline: Pipeline) -> Outcome:
    pipeline.configure(deploi={})
    return pipeline.run("deploy")


def a_missing_plugin(pipeline: Pipeline) -> Outcome:
    pipeline.configure(cache="nobodys")
    return pipeline.run("up")


def a_release_that_fails(pipeline: Pipeline) -> Outcome:
    assert well(pipeline).code == 0
    pipeline.change("bad")
    pipeline.visitors.fails = lambda colour, _number: colour == "green"
    return pipeline.run("deploy", "--canary")


def another_run(pipeline: Pipeline) -> Outcome:
    with lock.held(pipeline.stack.state, "deploy", "some-run"):
        return pipeline.run("up")


def no_deploy_to_promote(pipeline: Pipeline) -> Outcome:
    return pipeline.run("promote")


def a_signal(pipeline: Pipeline) -> Outcome:
    assert well(pipeline).code == 0
    pipeline.change("two")
    once = iter([signal.SIGTERM])

    def fails(_colour: str, _number: int) -> bool:
        for number in once:
            os.kill(os.getpid(), number)
        return False

    pipeline.visitors.fails = fails
    done = pipeline.run("deploy", "--canary")
    assert {c: share for c, share in pipeline.stack.balancer.share().items() if share} == {"blue": 100}
    return done


PROVOKED: dict[int, Callable[[Pipeline], Outcome]] = {
    0: well,
    1: a_build_that_fails,
    2: a_wrong_key,
    3: a_missing_plugin,
    4: a_release_that_fails,
    5: another_run,
    6: no_deploy_to_promote,
    130: a_signal,
}


@pytest.mark.parametrize("code", PROVOKED)
def test_it_is_provoked_through_the_program(pipeline: Pipeline, code: int) -> None:
    done = PROVOKED[code](pipeline)
    assert done.code == code, done.stdout + done.stderr
    if code:
        assert [line.partition(": ")[0] for line in done.stderr.splitlines()[-2:]] == ["error", "hint"]
    assert "Traceback" not in done.stderr


def test_there_is_no_other() -> None:
    known = {e.exit_code for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.AdafError)}
    assert set(PROVOKED) == known | {0}
