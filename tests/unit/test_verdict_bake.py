"""The verdict while the canary has all the traffic."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from verdict_cases import even, expected, judged, tolerated, window

from adaf_pipeline.roles import Served
from adaf_pipeline.workflows.verdict import Evidence, Judgement, Limits

# the bake


def bake(steps: Iterable[list[Served]], *ticks: list[Served]) -> Judgement:
    evidence = Evidence("green", "blue", Limits())
    for tick in steps:
        evidence.add(tick)
    evidence.step(1000, alone=True)
    for tick in ticks:
        evidence.add(tick)
    return evidence.judge()


GOOD = [window((0, 50), (0, 50), at) for at in range(60)]


def test_the_bake_is_judged_by_its_own_visitors() -> None:
    assert bake(GOOD).outcome == "not enough data"
    assert bake(GOOD, window((0, 58), at=1000)).outcome == "not enough data"
    assert bake(GOOD, window((0, 59), at=1000)).outcome == "pass"
    found = bake(GOOD, window((20, 60), at=1001))
    assert found.outcome == "fail"
    assert "no worse than 1.25 x blue, and than 5 % in the bake (limit 200 : 1)" in found.reason
    assert found.reason.startswith("green failed 20 of 60 visitors in the bake (before, 0 of 3,000, blue 0 of 3,000): ")


def test_the_bake_goes_on_with_the_evidence_of_the_steps() -> None:
    found = bake([window((4, 9), (0, 9))], window((2, 5), at=1000))
    assert found.evidence == pytest.approx(expected([(tolerated(9, 9), 4, 0), (0.05, 2, 3)]))


def test_a_burst_just_before_the_bake_does_not_fail_it() -> None:
    late = window((20, 60), (40, 120), at=999)
    found = bake(GOOD, late, window((0, 59), at=1000))
    assert (found.outcome, found.canary.failed, found.canary.visitors) == ("pass", 0, 59)


def test_timeouts_of_the_canary_alone_count_in_the_bake() -> None:
    assert bake(GOOD, [*window((20, 20), (0, 1), at=980), *window((0, 40), at=1000)]).outcome == "fail"


def test_without_stable_visitors_by_chance_it_is_not_the_bake() -> None:
    found = judged([*GOOD, *(window((50, 50), at=at) for at in range(60, 65))])
    assert (found.outcome, found.evidence) == ("not enough data", 1)


def test_the_bake_allows_what_the_steps_allowed() -> None:
    steps = list(even(5, 5, 50, 50, 60))
    assert bake(steps, *(window((10, 100), at=1000 + at) for at in range(20))).outcome == "pass"
    assert bake(steps, *(window((20, 100), at=1000 + at) for at in range(20))).outcome == "fail"
    assert bake(GOOD, *(window((10, 100), at=1000 + at) for at in range(20))).outcome == "fail"
