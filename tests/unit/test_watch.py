"""What a deploy looks at, hour after hour."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from deploy_world import FAST, World, deploy

from adaf_pipeline.service import Ref
from adaf_pipeline.testing.balancer import FakeBalancer
from adaf_pipeline.testing.stack import fake_stack
from adaf_pipeline.workflows import probe
from adaf_pipeline.workflows.receipt import Result
from adaf_pipeline.workflows.watch import Watch


class Once(Result):
    """Counts how often somebody looks at it."""

    looks = 0

    @property
    def lost(self) -> bool:
        Once.looks += 1
        return super().lost


def test_a_step_that_is_held_for_hours_counts_each_probe_once() -> None:
    seen: list[Any] = []
    watch = Watch.__new__(Watch)
    watch.__dict__ |= {"stream": SimpleNamespace(results=lambda: tuple(seen)), "release": "new", "changed_at": 100.0}
    watch._begin_counting()
    for second in range(100):
        seen += [Once(50.0 + second, "GET", "fresh", 200, "", 0.01, "new", None, f"{second}-{n}") for n in range(50)]
        counts = watch._probes()
    assert counts == {"sent": 2500, "lost": 0, "duplicated": 0}
    assert Once.looks == 2500
    seen.append(Once(200.0, "GET", "fresh", 0, "closed", 0.01, "", None, "x"))
    seen.append(Once(200.0, "POST", "fresh", 200, "", 0.01, "new", 2, "y"))
    assert watch._probes() == {"sent": 2502, "lost": 1, "duplicated": 1}


def test_only_the_probes_that_go_through_the_edge_carry_its_pass(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Warm-up goes straight to the processes of a release: it could keep the pass, and skip every limit with it."""
    stack = fake_stack(tmp_path, FAST.replace("warmup: 0,", "warmup: 0.01,"))
    world.balancer = cast(FakeBalancer, stack.balancer)
    sent: dict[str, Mapping[str, str]] = {}
    made = probe.ProbeStream.__init__  # of the stand-in

    def remember(stream: probe.ProbeStream, url: str, settings: probe.ProbeSettings, **more: Any) -> None:
        sent[url] = settings.headers
        made(stream, url, settings, **more)

    monkeypatch.setattr(probe.ProbeStream, "__init__", remember)
    monkeypatch.setattr(type(stack.proxy), "pass_for_probes", lambda _proxy: {"X-Pass": "of the day"})
    assert deploy(stack).document["ok"]
    straight = f"http://{stack.runtime.resolve(Ref('instance', 'web.blue.1', 'http'))}"
    assert sent == {straight: {}, stack.proxy.url(): {"X-Pass": "of the day"}}
