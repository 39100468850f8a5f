"""What the balancer's log sees, with the real nginx and haproxy: visitor -> nginx -> haproxy -> blue | green.

What it holds above all: every failure that a client saw was seen by the log, for the right colour.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from edge import HANG, SERVER, Lab, ask, collect, make_work, needed, running, storm

from adaf_pipeline.errors import ServiceError
from adaf_pipeline.service import Ref
from adaf_pipeline.testing.balancer import within

pytestmark = needed

BROKEN = ("500", "empty", "reset", "half-headers", "junk", "cut", "cut-chunks")
RESCUED = ("empty", "reset")  # of a GET, by a colour that is well; haproxy 2.6 rescues half-headers as well


@pytest.fixture(scope="module")
def shared() -> Iterator[Lab]:
    yield from running()


@pytest.fixture
def lab(shared: Lab) -> Lab:
    return shared.well()


@pytest.fixture
def unreleased() -> Iterator[Lab]:
    yield from running()


@pytest.mark.parametrize("bad", ["green", "both", "only"])
def test_every_failure_that_a_client_saw_was_seen_by_the_log(lab: Lab, bad: str) -> None:
    """Green fails beside a blue that is well; both fail; green fails and there is no blue (a first release)."""
    work = make_work(3000 if bad == "green" else 1200, ("", "", *BROKEN), f"broken-{bad}")
    lab.app.executed.clear()
    if bad == "both":
        lab.app.bad = {"blue", "green"}
    if bad == "only":
        lab.balancer.set_share({"green": 100.0})
        lab.app.down("blue")
    try:
        with lab.balancer.log() as log:
            seen = asyncio.run(storm(lab, work, clients=24, patience=5))
            lines = collect(log, seen)
            assert log.missing == 0
    finally:
        if bad == "only":
            lab.app.up("blue")
    assert lines.keys() == seen.keys()
    # haproxy may log a refused connection as 503 and yet say nothing: what nginx repeats then is logged once more
    repeated = [found for found in lines.values() if len(found) > 1]
    assert all(served.failed for found in repeated for served in found)
    assert bad == "only" or not repeated
    colours = {served.visitor: served.colour for (*_, served) in lines.values()}
    share = sum(colour == "green" for colour in colours.values()) * 100 / len(colours)
    assert share == 100 if bad == "only" else 20 < share < 40
    figures: Counter[str] = Counter()
    for asked in work:
        answer, served = seen[asked.request], lines[asked.request][-1]
        assert (served.method, served.visitor) == (asked.method, asked.visitor)
        assert served.colour == colours[asked.visitor]
        failed = asked.mode != "" and served.colour in lab.app.bad
        assert served.failed == failed, (asked, answer, served)
        rescued = failed and bad == "green" and asked.method == "GET" and asked.mode in RESCUED
        figures[f"{asked.method}s rescued"] += rescued
        figures["failures that clients saw"] += not answer.good
        if rescued:
            assert answer.good, (asked, answer, served)
            assert (served.server, answer.header("x-release-id")) == ("blue-1-once", "r-blue")
            assert served.retries >= 1
        elif asked.mode != "half-headers":
            assert answer.good == (not failed), (asked, answer, served)
    print(f"\n{len(work)} requests, {dict(figures)}: all in the log, for the right colour")
    assert figures["failures that clients saw"] > 300
    assert bad != "green" or figures["GETs rescued"] > 80
    posts = [asked.request for asked in work if asked.method == "POST"]
    assert {lab.app.executed[request] for request in posts} == {1}


def test_a_hang_is_a_failure_and_a_visitor_who_just_left_is_none(lab: Lab) -> None:
    hang = make_work(300, ("hang", "slow", "slow", ""), "hang")
    patient = make_work(60, ("hang", ""), "patient")  # until haproxy ends it
    with lab.balancer.log() as log:
        seen = asyncio.run(storm(lab, hang, clients=80, patience=HANG * 2))
        seen |= asyncio.run(storm(lab, patient, clients=60, patience=SERVER * 3))
        lines = collect(log, (a.request for a in hang + patient if a.mode != "slow" or seen[a.request].complete))
    left = 0
    for asked in hang + patient:
        if asked.request not in lines:  # left before nginx had passed it on
            assert asked.mode == "slow", asked
            continue
        (served,) = lines[asked.request]
        assert served.failed == (served.colour == "green" and asked.mode == "hang"), (asked, served)
        if served.failed:
            assert served.seconds >= HANG
            assert not seen[asked.request].good
            assert (served.status == 504) == (asked in patient)
        left += served.colour == "green" and asked.mode == "slow" and not seen[asked.request].complete
    assert left > 10
    assert within(5, lambda: lab.balancer.active("green") == 0)


@pytest.mark.parametrize("how", ["down", "refuse"])
def test_a_colour_that_is_gone_costs_no_get_and_every_request_counts(lab: Lab, how: str) -> None:
    work = make_work(600, ("",), f"gone-{how}")
    lab.app.executed.clear()
    lab.crash("balancer.1")  # no connection to green is left
    if how == "down":
        lab.app.down("green")
    else:
        lab.app.refuse = "green"
    try:
        with lab.balancer.log() as log:
            seen = asyncio.run(storm(lab, work, clients=16, patience=8))
            lines = collect(log, seen)
    finally:
        lab.app.refuse = ""
        if how == "down":
            lab.app.up("green")
    for asked in work:
        answer, (served,) = seen[asked.request], lines[asked.request]
        assert served.failed == (served.colour == "green"), (asked, answer, served)
        if asked.method == "GET" or how == "down":  # nothing was sent yet: a POST may go elsewhere as well
            assert answer.good, (asked, answer, served)
            assert served.server.startswith("blue-1")
    assert max(lab.app.executed.values()) == 1


def test_what_cannot_be_repeated_is_not_repeated_at_the_other_entrance(lab: Lab) -> None:
    lab.app.executed.clear()
    path = lab.resolve(Ref("instance", "balancer.1", "again", "path"))
    with lab.balancer.log() as log:
        for method, status in (("GET", 200), ("POST", 502), ("PUT", 502)):
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(5)
                link.connect(path)
                link.sendall(f"{method} / HTTP/1.1\r\nHost: x\r\nX-Request-Id: again-{method}\r\n\r\n".encode())
                assert link.recv(65536).startswith(f"HTTP/1.1 {status} ".encode())
        lines = collect(log, ["again-GET", "again-POST", "again-PUT"])
    assert all(served.failed and served.colour and served.retries == 1 for (served,) in lines.values())
    assert not lab.app.executed


def test_requests_in_flight_are_counted_by_colour(lab: Lab) -> None:
    lab.balancer.set_share({"green": 100.0})
    with lab.connect("proxy.1", unix=False) as link:
        link.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Mode: hang\r\n\r\n")
        assert within(1, lambda: lab.balancer.active("green") == 1)
        assert lab.balancer.active("blue") == 0
    assert within(1, lambda: lab.balancer.active("green") == 0), "a visitor left, and the balancer went on waiting"


def test_haproxy_killed_under_load_comes_back_with_its_share(lab: Lab) -> None:
    lab.balancer.set_share({"blue": 58.0, "green": 42.0})
    with lab.balancer.log() as log:
        killer = threading.Timer(0.4, lab.crash, ["balancer.1"])
        killer.start()
        seen = asyncio.run(storm(lab, make_work(2500, ("",), "crash"), clients=12, patience=5))
        killer.join()
        assert lab.balancer.live_share() == lab.balancer.share() == {"blue": 58.0, "green": 42.0}
        assert within(5, lambda: log.missing >= 1)
        away = Counter(answer.status for answer in seen.values())
        assert away[200] > 500
        assert away.keys() <= {200, 502}, away
        again = make_work(50, ("",), "again")
        assert collect(log, asyncio.run(storm(lab, again, clients=4, patience=5))).keys() >= {a.request for a in again}


# -------------------------------------------------------------------------------------------- the log under load


def flood(lab: Lab, count: int, label: str) -> float:
    """So many requests to haproxy itself, pipelined, which it answers alone; seconds taken."""
    begun = time.monotonic()
    with lab.connect("balancer.1", unix=True) as link:
        for first in range(0, count, 100):
            words = "".join(
                f"GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: {label}-{n:06d}\r\nX-Forwarded-For: 1\r\n\r\n"
                for n in range(first, min(first + 100, count))
            )
            link.sendall(words.encode())
            wanted = min(100, count - first)
            while wanted > 0:
                wanted -= link.recv(1 << 20).count(b"</html>")
    return time.monotonic() - begun


def test_no_line_is_lost_at_thousands_of_requests_a_second(unreleased: Lab) -> None:
    with unreleased.balancer.log() as log:
        takes, count = [log.take()], 30_000
        seconds = flood(unreleased, count, "flood")
        lines = collect(log, [f"flood-{n:06d}" for n in range(count)])
        assert log.missing == 0
    assert takes == [()]
    assert len(lines) == count
    print(f"\n{count / seconds:,.0f} lines/s, none lost")
    assert count / seconds > 3000


def test_a_reader_that_is_stuck_blocks_nobody_and_shows_as_missing(unreleased: Lab) -> None:
    with unreleased.balancer.log() as log, socket.socket(socket.AF_UNIX) as stuck:
        stuck.connect(unreleased.resolve(Ref("instance", "balancer.1", "admin", "path")))
        stuck.sendall(b"show events requests -w -n\n")
        count = 45_000  # more than the ring holds
        seconds = flood(unreleased, count, "stuck")
        assert count / seconds > 3000
        assert within(3, lambda: log.missing > 0), "the ring is blocked, and nobody was told"
        arrived = len(collect(log, ["never"], seconds=2))
        missing = log.missing
        stuck.close()
        flood(unreleased, 10, "after")
        assert set(collect(log, [f"after-{n:06d}" for n in range(10)])) >= {f"after-{n:06d}" for n in range(10)}
        assert arrived + missing >= count  # 3.0 counts a drop twice
        assert log.missing == missing
    with unreleased.balancer.log() as log:
        flood(unreleased, 10, "new")
        assert len(collect(log, [f"new-{n:06d}" for n in range(10)])) == 10
        assert log.missing == 0


def test_a_log_that_was_just_opened_misses_nothing(lab: Lab) -> None:
    for turn in range(50):
        with lab.balancer.log() as log:
            ask(lab, headers={"X-Request-Id": f"opened-{turn:03d}"})
            assert len(collect(log, [f"opened-{turn:03d}"], seconds=2)) == 1


def test_a_log_of_a_balancer_that_is_down_is_an_error(lab: Lab) -> None:
    lab.stop("balancer.1")
    with pytest.raises(ServiceError) as caught, lab.balancer.log():
        pass
    assert "inv status" in caught.value.hint
    with pytest.raises(ServiceError):
        lab.balancer.set_share({"blue": 45.0, "green": 55.0})
    assert lab.balancer.share() == {"blue": 45.0, "green": 55.0}
    lab.start("balancer.1")
    assert lab.balancer.live_share() == {"blue": 45.0, "green": 55.0}
