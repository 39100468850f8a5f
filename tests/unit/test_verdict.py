"""The canary's verdict, by hand, by enumeration and by property."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verdict_cases import even, expected, judged, line, tolerated, window

from adaf_pipeline.roles import Served
from adaf_pipeline.workflows.verdict import RATIOS, Evidence, Judgement, Limits, upper_bound

# by hand


def test_one_failure_among_as_many_visitors_of_each() -> None:
    # w = 1/2, so q = 1.25/2.25 = 5/9, and a canary's failure is worth q'/q = R / (4/9 + 5R/9) = 9R / (4 + 5R)
    mean = sum(9 * r / (4 + 5 * r) for r in RATIOS) / len(RATIOS)
    assert judged([window((1, 4), (0, 4))]).evidence == pytest.approx(mean)
    # a stable failure: (1-q')/(1-q) = 1 / (4/9 + 5R/9) = 9 / (4 + 5R)
    mean = sum(9 / (4 + 5 * r) for r in RATIOS) / len(RATIOS)
    assert judged([window((0, 4), (1, 4))]).evidence == pytest.approx(mean)


def test_several_windows_are_multiplied() -> None:
    counts = [((2, 5), (1, 95)), ((0, 25), (3, 75)), ((7, 50), (0, 50))]
    found = judged(window(green, blue, at) for at, (green, blue) in enumerate(counts))
    assert found.evidence == pytest.approx(expected((tolerated(n, o), k, m) for (k, n), (m, o) in counts))


def test_the_absolute_limit_of_a_first_release() -> None:
    # bias 1/20, so a failure is worth 20R / (19 + R) and a sound visitor 20 / (19 + R)
    mean = sum((20 * r / (19 + r)) ** 2 * (20 / (19 + r)) ** 3 for r in RATIOS) / len(RATIOS)
    assert judged([window((2, 5))], stable=None).evidence == pytest.approx(mean)


def test_windows_with_one_colour_compare_nothing() -> None:
    assert judged([window((5, 5)), window((0, 0), (50, 90), 1), window((0, 5), (0, 95), 2)]).evidence == 1


@pytest.mark.parametrize(
    ("failed", "visitors", "bound"),
    [(0, 50, 0.0582), (0, 58, 0.0503), (0, 59, 0.0495), (0, 1, 0.95), (3, 3, 1.0), (0, 0, 1.0), (5, 100, 0.1023)],
)
def test_bounds(failed: int, visitors: int, bound: float) -> None:
    assert upper_bound(failed, visitors, 0.95) == pytest.approx(bound, abs=5e-5)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))), st.sampled_from([0.9, 0.95])
)
def test_the_bound_is_the_rate_at_which_so_few_failures_are_rare(counts: tuple[int, int], confidence: float) -> None:
    k, n = counts
    p = upper_bound(k, n, confidence)
    assert sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1)) == pytest.approx(1 - confidence)


# an e-value, by enumeration of everything that can happen


def outcomes(stages: list[list[tuple[str, str, float]]]) -> Iterator[tuple[float, list[Judgement]]]:
    """Every course of windows of (visitor, colour, probability to fail): its probability and what was judged."""
    for flips in itertools.product(*(itertools.product((False, True), repeat=len(stage)) for stage in stages)):
        evidence, chance, seen = Evidence("green", "blue", Limits()), 1.0, []
        for at, (stage, failed) in enumerate(zip(stages, flips, strict=True)):
            chance *= math.prod(p if bad else 1 - p for (_, _, p), bad in zip(stage, failed, strict=True))
            evidence.add(line(who, colour, bad, at) for (who, colour, _), bad in zip(stage, failed, strict=True))
            seen.append(evidence.judge())
        yield chance, seen


@pytest.mark.parametrize("rates", [(0.02, 0.3), (0.8, 0.01), (0.5, 0.5)])
@pytest.mark.parametrize("returning", [True, False])
def test_a_canary_as_bad_as_tolerated_keeps_the_mean_at_one(rates: tuple[float, float], returning: bool) -> None:
    stages = [
        [
            (f"{colour} {number} {returning or at}", colour, p * (1.25 if colour == "green" else 1.0))
            for colour, visitors in (("green", 2), ("blue", 2))
            for number in range(visitors)
        ]
        for at, p in enumerate(rates)
    ]
    courses = list(outcomes(stages))
    assert sum(chance for chance, _ in courses) == pytest.approx(1)
    assert sum(chance * seen[-1].evidence for chance, seen in courses) <= 1 + 1e-12
    for odds in (1.5, 3.0, 5.0):  # Ville: looking all the time does not help a false alarm
        assert sum(chance for chance, seen in courses if max(s.evidence for s in seen) >= odds) <= 1 / odds


def test_a_canary_that_is_worse_raises_the_mean() -> None:
    stage = [("a", "green", 0.9), ("b", "blue", 0.1), ("c", "blue", 0.1)]
    assert sum(chance * seen[-1].evidence for chance, seen in outcomes([stage])) > 1.5


def test_a_first_release_at_the_limit_has_a_mean_of_exactly_one() -> None:
    mean = sum(
        math.comb(8, k) * 0.05**k * 0.95 ** (8 - k) * judged([window((k, 8))], stable=None).evidence for k in range(9)
    )
    assert mean == pytest.approx(1)


# visitors, windows, order

LINES = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from(["green", "blue", "-"]), st.booleans(), st.integers(0, 9)),
    max_size=40,
)


def served(lines: list[tuple[int, str, bool, int]], at: float = 0.0) -> list[Served]:
    return [line(str(visitor), colour, failed, at + tenth / 10) for visitor, colour, failed, tenth in lines]


@settings(max_examples=30, deadline=None)
@given(st.lists(LINES, max_size=4), st.randoms(use_true_random=False))
def test_order_within_a_window_does_not_matter(
    windows: list[list[tuple[int, str, bool, int]]], rng: random.Random
) -> None:
    ticks = [served(lines, at) for at, lines in enumerate(windows)]
    assert judged(ticks) == judged(rng.sample(tick, len(tick)) for tick in ticks)


@settings(max_examples=30, deadline=None)
@given(st.lists(LINES, max_size=4))
def test_a_visitor_counts_once(windows: list[list[tuple[int, str, bool, int]]]) -> None:
    ticks = [served(lines, at) for at, lines in enumerate(windows)]
    gone: set[str] = set()
    again: list[list[Served]] = []
    for tick in ticks:
        again.append([*tick, *tick, *(line(who, "green", True, 99) for who in sorted(gone))])
        gone.update(one.visitor for one in tick if one.failed and one.colour != "-")
    found = judged(ticks)
    assert found == judged(again)
    assert found.stable is not None
    assert found.canary.failed + found.stable.failed == len(gone)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 9), st.integers(1, 9)), max_size=6))
def test_evidence_is_a_mean_of_likelihood_ratios(counts: list[tuple[int, int, int, int]]) -> None:
    windows = [window((min(k, n), n), (min(m, others), others), at) for at, (k, m, n, others) in enumerate(counts)]
    most = math.prod(((1.25 * n + others) / (1.25 * n)) ** min(k, n) for k, _, n, others in counts)
    assert 0 < judged(windows).evidence <= most * (1 + 1e-9)


def test_one_client_that_always_fails_is_one_failure() -> None:
    ticks = [[line("crawler", failed=True, at=at), *window((0, 5), (0, 95), at)] for at in range(300)]
    found = judged(ticks)
    assert (found.outcome, found.canary.failed) == ("pass", 1)


@pytest.mark.parametrize(("first", "second"), [("blue", "green"), ("green", "blue")])
def test_the_first_failure_of_a_visitor_who_changes_colour_counts(first: str, second: str) -> None:
    both = [line("v", second, True, 0.2), line("v", first, True, 0.1), *window((0, 2), (0, 2))]
    found = judged([both])
    assert found.stable is not None
    assert {"green": found.canary.failed, "blue": found.stable.failed} == {first: 1, second: 0}


def test_a_hanging_canary_is_found_when_its_timeouts_arrive() -> None:
    ticks = [window((0, 0), (0, 95), at) for at in range(40)]
    for at in range(30, 40):
        ticks[at] += window((3, 3), at=at - 30)
    assert judged(ticks[:30]).outcome == "not enough data"
    assert judged(ticks).outcome == "fail"


# fail


def test_it_fails_above_the_threshold_only() -> None:
    windows = [window((1, 5), (0, 45)), window((1, 5), (0, 45), 1)]
    odds = judged(windows).evidence
    assert judged(windows, limits=Limits(threshold=odds * 0.99)).outcome == "fail"
    assert judged(windows, limits=Limits(threshold=odds)).outcome == "not enough data"
    assert Limits().threshold == 200


def test_a_bad_canary_fails_and_the_reason_reads_well() -> None:
    found = judged([window((1, 5), (0, 95)), window((1, 5), (0, 95), 1), window((1, 5), (0, 995), 2)])
    assert found.outcome == "fail"
    assert found.reason == (
        f"green failed 3 of 15 visitors, blue 0 of 1,185 meanwhile: {found.evidence:,.0f} : 1 against green being "
        "no worse than 1.25 x blue (limit 200 : 1)"
    )
    assert 200 < found.evidence < 1e6
    worse = judged(window((5, 5), (0, 95), at) for at in range(300))
    assert "more than 1,000,000 : 1" in worse.reason
    assert json.loads(json.dumps(dataclasses.asdict(worse)))["evidence"] < 1e300


def test_a_burst_on_both_colours_fails_nothing_and_does_not_stop_a_pass() -> None:
    evidence = Evidence("green", "blue", Limits())
    for at in range(65):
        burst = 10 <= at < 15
        evidence.add(window((4 if burst else 0, 5), (76 if burst else 0, 95), at))
        assert evidence.judge().outcome != "fail"
        assert evidence.judge().evidence < 5
    found = evidence.judge()
    assert found.outcome == "pass"
    assert found.reason.startswith(
        "green failed 20 of 325 visitors, blue 380 of 6,175 meanwhile, green 0 of 300 while "
    )


def test_a_canary_that_fails_outside_of_the_burst_is_not_excused() -> None:
    found = judged(window((4, 5), (76, 95), at) if at < 5 else window((1, 5), (1, 95), at) for at in range(20))
    assert found.outcome == "fail"


@pytest.mark.parametrize(
    "before", [list(even(0.25, 0.75, 5, 15, 1200)), [window((20, 25), (60, 75), at) for at in range(5)]]
)
def test_a_canary_that_breaks_late_is_found_at_once(before: list[list[Served]]) -> None:
    evidence = Evidence("green", "blue", Limits())
    for tick in before:
        evidence.add(tick)
    assert evidence.judge().outcome != "fail"
    for at in range(10_000, 10_008):
        evidence.add(window((5, 25), (1, 75), at))
    assert evidence.judge().outcome == "fail"


def test_a_tolerated_difference_never_fails() -> None:
    assert judged(even(0.25 * 1.2, 0.75, 5, 15, 300)).evidence < 1


def test_a_first_release_is_judged_by_the_absolute_limit() -> None:
    good, bad = judged([window((0, 60))], stable=None), judged([window((10, 40))], stable=None)
    assert (good.outcome, bad.outcome, good.stable) == ("pass", "fail", None)
    assert bad.reason.startswith("green failed 10 of 40 visitors, with no stable colour to compare: ")
    assert bad.reason.endswith(" : 1 against a rate of at most 5 % (limit 200 : 1)")


def test_missing_lines_do_not_hide_a_failure() -> None:
    evidence = Evidence("green", "blue", Limits())
    evidence.add(window((5, 5), (0, 95)))
    evidence.lost(1)
    assert evidence.judge().outcome == "fail"


# pass


@pytest.mark.parametrize(("visitors", "outcome"), [(50, "not enough data"), (58, "not enough data"), (59, "pass")])
def test_a_pass_needs_59_visitors(visitors: int, outcome: str) -> None:
    assert judged([window((0, visitors), (0, 900))]).outcome == outcome


def test_evidence_adds_up_over_the_steps() -> None:
    evidence = Evidence("green", "blue", Limits())
    evidence.add(window((0, 30), (0, 570)))
    evidence.step(20)
    evidence.add(window((0, 30), (0, 90), 20))
    found = evidence.judge()
    assert found.outcome == "pass"
    assert found.reason == (
        "green failed 0 of 60 visitors, blue 0 of 660 meanwhile: green's rate is below 4.87 % at 95 % confidence (limit 5 %)"
    )


def test_never_a_pass_without_visitors() -> None:
    evidence = Evidence("green", "blue", Limits())
    assert (evidence.judge().outcome, evidence.judge().bound) == ("not enough data", 1)
    evidence.add(window((0, 0), (0, 500)))
    assert evidence.judge().outcome == "not enough data"
    evidence.add(window((0, 100), (0, 500), 1))
    assert evidence.judge().outcome == "pass"
    evidence.step(20)
    evidence.add(window((0, 5), (0, 95), 19))  # late
    assert evidence.judge().reason.startswith("nobody has reached green in this step")
    evidence.add(window((0, 1), (0, 3), 20))
    assert evidence.judge().outcome == "pass"


def test_never_a_pass_with_missing_lines() -> None:
    evidence = Evidence("green", "blue", Limits())
    evidence.add(window((0, 500), (0, 500)))
    evidence.lost(0)
    assert evidence.judge().outcome == "pass"
    evidence.lost(1_200)
    evidence.lost(1_200)  # a running total
    assert evidence.judge().outcome == "not enough data"
    assert evidence.judge().reason.endswith("but 1,200 lines of the log are missing")


def test_evidence_against_it_vetoes_a_pass() -> None:
    found = judged(even(0.15, 0, 15, 15, 47))  # 7 of 705 against 0 of 705: 1 %, but whose?
    assert found.bound < 0.05
    assert 20 < found.evidence < 200
    assert found.outcome == "not enough data"
    assert found.reason.endswith("no worse than 1.25 x blue, too much to pass (20 : 1), too little to fail (200 : 1)")
    assert judged(even(0.09, 0, 3, 9, 100)).outcome == "fail"  # 3 % against 0 with 300 visitors


def test_as_good_as_a_bad_stable_colour_passes_given_enough_data() -> None:
    few, enough = judged(even(5, 5, 50, 50, 20)), judged(even(5, 5, 50, 50, 60))
    assert (few.outcome, enough.outcome) == ("not enough data", "pass")
    assert "green being as good as blue rather than 1.25 x as bad (20 : 1 is enough)" in enough.reason


@pytest.mark.parametrize("seconds", [20, 60, 120])
def test_clearly_worse_than_a_bad_stable_colour_never_passes(seconds: int) -> None:
    assert judged(even(7, 5, 50, 50, seconds)).outcome == "not enough data"
    assert judged(even(15, 5, 50, 50, seconds)).outcome == "fail"
