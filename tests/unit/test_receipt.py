"""Lost, duplicated, late: each word has one meaning."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaf_pipeline.workflows.idle import anonymous
from adaf_pipeline.workflows.receipt import Receipt, Result, percentile

GOOD = Result(100.0, "GET", "fresh", 200, "", 0.010, "r1", None, "a")


def at(sent_at: float, **changes: object) -> Result:
    return replace(GOOD, sent_at=sent_at, request=f"id-{sent_at}", **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "lost", "errors"),
    [
        ({}, 0, 0),
        ({"status": 302, "release": ""}, 0, 0),
        ({"status": 404, "release": ""}, 0, 0),
        ({"status": 500}, 0, 1),
        ({"status": 503, "release": ""}, 1, 0),
        ({"status": 0, "error": "timeout", "release": ""}, 1, 0),
        ({"status": 0, "error": "truncated"}, 1, 0),
        ({"status": 0, "error": "unsent", "connection": ""}, 1, 0),
    ],
)
def test_an_applications_own_5xx_is_an_error_everything_incomplete_is_lost(
    changes: dict[str, object], lost: int, errors: int
) -> None:
    receipt = Receipt.of([at(1, **changes)], baseline_until=None)
    assert (receipt.sent, receipt.lost, receipt.errors) == (1, lost, errors)


def test_duplicated_is_what_an_answer_or_the_ledger_says_once_per_request() -> None:
    results = [at(1, seen=2), at(2, seen=1), at(3), at(4, seen=0)]
    assert Receipt.of(results, baseline_until=None).duplicated == 1
    ledger = ["id-1", "id-1", "id-3", "id-3", "id-2", "foreign", "foreign"]
    assert Receipt.of(results, baseline_until=None, executed=ledger).duplicated == 2


def test_late_is_judged_by_what_was_answered_before_the_first_change() -> None:
    before = [at(n / 10, seconds=0.010) for n in range(100)]
    after = [at(11, seconds=0.259), at(12, seconds=0.261), at(13, seconds=4, error="timeout", status=0)]
    receipt = Receipt.of(before + after, baseline_until=10.5)
    assert (receipt.baseline, receipt.baseline_p99, receipt.late, receipt.lost) == (100, 10.0, 1, 1)
    slow = [replace(r, seconds=0.100) for r in before]  # 5 x 100 ms is more than 100 + 250 ms
    assert Receipt.of([*slow, at(11, seconds=0.499)], baseline_until=10.5).late == 0
    assert Receipt.of([*slow, at(11, seconds=0.501)], baseline_until=10.5).late == 1


def test_what_was_slow_before_the_first_change_is_not_the_deploys_fault() -> None:
    before = [at(n / 10, seconds=4.0 if n == 50 else 0.010) for n in range(200)]
    receipt = Receipt.of([*before, at(30, seconds=0.02)], baseline_until=25)
    assert (receipt.baseline_p99, receipt.late, receipt.p99) == (10.0, 0, 20.0)


def test_what_was_in_flight_at_the_first_change_is_no_baseline() -> None:
    receipt = Receipt.of([at(1, seconds=0.01), at(9.9, seconds=3.0)], baseline_until=10.0)
    assert (receipt.baseline, receipt.baseline_p99, receipt.late, receipt.p99) == (1, 10.0, 1, 3000.0)


@pytest.mark.parametrize("until", [None, 0.5])
def test_without_a_baseline_nobody_says_late(until: float | None) -> None:
    receipt = Receipt.of([at(1, seconds=4)], baseline_until=until, release="r1")
    assert receipt.late is None and receipt.baseline_p99 is None
    assert "no baseline" in receipt.text()


def test_the_first_answer_of_the_new_release() -> None:
    old, lost = at(1), at(2.1, release="r2", error="reset")
    new = [at(3, release="r2", seconds=0.5), at(2.5, release="r2", seconds=0.003)]
    receipt = Receipt.of([old, lost, *new], baseline_until=2, release="r2")
    assert receipt.first_on_new == 3.0
    assert receipt.releases == {"r1": 1, "r2": 2}
    assert Receipt.of([old, at(3)], baseline_until=2, release="r1").first_on_new is None  # the same release again
    assert Receipt.of([old], baseline_until=2, release="r2").first_on_new is None


def test_what_machines_and_people_read() -> None:
    receipt = Receipt.of([at(1), at(3), at(4, status=502, release="")], baseline_until=2, release="r2")
    document = json.loads(json.dumps(receipt.json()))
    assert {"sent": 3, "lost": 1, "duplicated": 0, "late": 0}.items() <= document.items()
    assert receipt.text() == ("3 sent, 1 lost (1 502), 0 duplicated, 0 late, 0 errors, p99 10 ms (before: 10 ms)")
    assert Receipt.of([], baseline_until=None).text().startswith("0 sent, 0 lost,")
    assert (
        Receipt.of([], baseline_until=None, missed=7)
        .text()
        .endswith("7 not sent because the pipeline itself stood still")
    )


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=200), st.floats(0.01, 1))
def test_nearest_rank(values: list[int], share: float) -> None:
    found = percentile(values, share)
    rank = math.ceil(share * len(values))
    assert found in values
    assert sum(v <= found for v in values) >= rank
    assert sum(v < found for v in values) < rank


@given(
    st.lists(
        st.builds(at, st.floats(0, 20), status=st.sampled_from([200, 404, 500]), error=st.sampled_from(["", "reset"]))
    )
)
def test_every_request_is_an_answer_or_lost(results: list[Result]) -> None:
    receipt = Receipt.of(results, baseline_until=10)
    assert receipt.sent == len(results) == receipt.lost + sum(receipt.releases.values())
    assert sum(receipt.reasons.values()) == receipt.lost


def test_answers_without_a_release_id_are_told_of_when_none_has_one() -> None:
    assert "x-release-id" in anonymous(["", ""])
    assert anonymous(["", "abc"]) == anonymous([]) == ""
