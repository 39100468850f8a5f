"""Visitors, probes and commands for the tests of deploys over fakes."""

from __future__ import annotations

import time
from typing import Any

from adaf_pipeline.engine import Engine, Result
from adaf_pipeline.requests import DeployRequest
from adaf_pipeline.stack import Stack
from adaf_pipeline.testing.visitors import Visitors as World

__all__ = ["FAST", "LATER", "World", "change", "deploy", "weights"]

FAST = """
deploy: {steps: [20, 50], window: 0.1, max_windows: 3, bake: 0.1, passes: 2, ready_timeout: 0.5, warmup: 0, probe: {baseline: 0}}
"""

LATER = time.time() + 3600  # after every first change of a test


def deploy(stack: Stack, **flags: Any) -> Result:
    return Engine(stack).run(DeployRequest(**{"canary": (20.0, 50.0), **flags}))


def change(stack: Stack, body: str) -> None:
    (stack.checkout / "app" / "main.txt").write_text(body)


def weights(result: Result) -> dict[str, float]:
    return {colour: share for colour, share in result.document["weights"].items() if share}
