"""What a deploy looks at, hour after hour."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

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
