"""Visitors, probes and commands for the tests of deploys over fakes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

from adaf_pipeline.engine import Engine, Result
from adaf_pipeline.requests import DeployRequest
from adaf_pipeline.stack import Stack
from adaf_pipeline.testing.balancer import FakeBalancer
from adaf_pipeline.workflows.receipt import Result as Probed

FAST = """
deploy: {steps: [20, 50], window: 0.1, max_windows: 3, bake: 0.1, passes: 2, ready_timeout: 0.5, warmup: 0, probe: {baseline: 0}}
"""

LATER = time.time() + 3600  # after every first change of a test


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


def deploy(stack: Stack, **flags: Any) -> Result:
    return Engine(stack).run(DeployRequest(**{"canary": (20.0, 50.0), **flags}))


def change(stack: Stack, body: str) -> None:
    (stack.checkout / "app" / "main.txt").write_text(body)


def weights(result: Result) -> dict[str, float]:
    return {colour: share for colour, share in result.document["weights"].items() if share}
