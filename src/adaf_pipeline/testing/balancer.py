"""A balancer in memory, and the contract that it and the real ones keep."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, cast

import pytest

from adaf_pipeline.errors import ServiceError
from adaf_pipeline.roles import Balancer, MemoryLog, RequestLog, Served, whole_share
from adaf_pipeline.service import Port, Ref, Service, Services, argv

VISITORS = tuple(f"visitor-{number:04d}" for number in range(4000))


class InProcess(Protocol):
    """What a balancer that lives in this process has besides its role, so that visitors can come by without a server."""

    def place(self, visitor: str) -> str:
        """The colour of a visitor now, "" when nothing is live."""

    def feed(self, *served: Served) -> None:
        """Requests that came by: lines for every log that is open."""


def visit(
    balancer: InProcess,
    visitor: str,
    *,
    failed: bool = False,
    seconds: float = 0.01,
    method: str = "GET",
    request: str = "",
) -> Served:
    """One request of a visitor now, to a balancer in this process. ``failed``: the application answers with a 500."""
    colour = balancer.place(visitor)
    status = 503 if not colour else 500 if failed else 200
    served = Served(
        time.time(), visitor, colour, f"{colour}-1", method, status, 0, request, seconds, failed or not colour
    )
    balancer.feed(served)
    return served


class FakeBalancer(Balancer):
    """Tests ``feed`` it requests or let somebody ``visit``, set ``down``, ``lose`` log lines, ``restart`` it."""

    def __init__(self, settings: Any = None, stack: Any = None) -> None:
        super().__init__(settings, stack)
        self.down = False
        self.in_flight: Counter[str] = Counter()
        self.history: list[Mapping[str, float]] = []  # every share that was set
        self._persisted: Mapping[str, float] = {}
        self._live: Mapping[str, float] = {}
        self._logs: list[MemoryLog] = []

    def services(self) -> Services:
        return (Service("balancer.1", "balancer", argv("balancer"), image="haproxy", ports=(Port("http"),)),)

    @property
    def endpoints(self) -> Mapping[str, Ref]:
        return {"http": Ref("instance", "balancer.1", "http")}

    def share(self) -> Mapping[str, float]:
        return self._persisted

    def set_share(self, share: Mapping[str, float]) -> None:
        self._persisted = whole_share(share)
        self.history.append(self._persisted)
        self._asked()
        self._live = self._persisted

    def live_share(self) -> Mapping[str, float]:
        self._asked()
        return self._live

    def active(self, colour: str) -> int:
        self._asked()
        return self.in_flight[colour]

    @contextmanager
    def log(self) -> Iterator[RequestLog]:
        self._asked()
        opened = MemoryLog()
        self._logs.append(opened)
        try:
            yield opened
        finally:
            self._logs.remove(opened)

    def _asked(self) -> None:
        if self.down:
            raise ServiceError("the balancer does not answer", "inv up")

    # ---------------------------------------------------------------------------------------- what tests do to it

    def place(self, visitor: str) -> str:
        """The colour of a visitor now, "" when nothing is live."""
        if not self._live:
            return ""
        bucket = int.from_bytes(hashlib.sha256(visitor.encode()).digest()[:8]) % 10_000
        return "green" if bucket < self._live["green"] * 100 else "blue"

    def feed(self, *served: Served) -> None:
        """Requests as a real balancer would have logged them."""
        for log in self._logs:
            log.lines.extend(served)

    def lose(self, lines: int = 1) -> None:
        """Evidence that is gone."""
        for log in self._logs:
            log.missing += lines

    def restart(self) -> None:
        """It was killed and is back."""
        self._live = self._persisted
        self.lose()


def within(seconds: float, true: Callable[[], object]) -> bool:
    """Whether it becomes true in time."""
    deadline = time.monotonic() + seconds
    while not (found := bool(true())) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


class BalancerContract:
    """Run against every backend of the role. Override ``balancer`` and ``restart``, and ``send`` for a real server.

    ``visitors`` are fixed, so "within 1 point" is not a matter of luck from run to run. It is one of the choice of ids:
    of 4,000 at random 50 % are met within 1.6 points in 19 of 20 choices. Override them if your hash is unlucky.
    """

    visitors: Sequence[str] = VISITORS

    @pytest.fixture
    def balancer(self) -> Balancer:
        """A running one that has never had a share."""
        raise NotImplementedError

    def send(self, balancer: Balancer, visitors: Sequence[str]) -> list[str]:
        """A GET of each visitor; which colour answered, "" for none. Both colours are well.

        As it stands for a balancer in this process; override it for one that is a server.
        """
        return [visit(cast(InProcess, balancer), visitor).colour for visitor in visitors]

    def restart(self, balancer: Balancer) -> None:
        """Kill it and start it again."""
        raise NotImplementedError

    def test_nothing_is_live_before_the_first_share(self, balancer: Balancer) -> None:
        """`share`, `live_share`: {} when nothing is live yet; the log has those who came all the same."""
        assert balancer.share() == {}
        assert balancer.live_share() == {}
        with balancer.log() as log:
            assert self.send(balancer, ["early"]) == [""]
            (served,) = self.taken(log, 1)
        assert (served.colour, served.status, served.failed) == ("", 503, True)

    def test_where_processes_are_can_be_told_at_any_time(self, balancer: Balancer) -> None:
        """`locate`: visitors go on where they went; twice is fine, and no share changes."""
        balancer.set_share({"blue": 100.0})
        for _ in range(2):
            balancer.locate({})
        assert balancer.share() == balancer.live_share()
        assert set(self.send(balancer, VISITORS[:5])) == {"blue"}

    def test_everything_can_be_taken_off_again(self, balancer: Balancer) -> None:
        """`set_share`: {} = nothing is live."""
        balancer.set_share({"blue": 100.0})
        balancer.set_share({})
        assert balancer.share() == balancer.live_share() == {}
        assert self.send(balancer, ["anybody"]) == [""]

    def test_a_share_is_persisted_live_and_survives_a_crash(self, balancer: Balancer) -> None:
        """`set_share`: written down, made live, read back; a restart comes back with it."""
        for share in ({"blue": 100.0}, {"blue": 95.0, "green": 5.0}, {"blue": 0.0, "green": 100.0}):
            balancer.set_share(share)
            wanted = {"blue": 0.0, "green": 0.0, **share}
            assert balancer.share() == wanted
            assert balancer.live_share() == wanted
        balancer.set_share({"blue": 62.5, "green": 37.5})
        before = self.send(balancer, self.visitors[:100])
        self.restart(balancer)
        assert balancer.share() == balancer.live_share() == {"blue": 62.5, "green": 37.5}
        assert self.send(balancer, self.visitors[:100]) == before

    @pytest.mark.parametrize(
        "share",
        [
            {"blue": 99.0},
            {"blue": 60.0, "green": 60.0},
            {"blue": 101.0, "green": -1.0},
            {"blue": 50.0, "red": 50.0},
        ],
    )
    def test_what_is_no_share_is_refused_and_changes_nothing(self, balancer: Balancer, share: dict[str, float]) -> None:
        """`set_share`: per cent by colour, 100 in sum; ValueError otherwise."""
        balancer.set_share({"blue": 90.0, "green": 10.0})
        with pytest.raises(ValueError):
            balancer.set_share(share)
        assert balancer.share() == balancer.live_share() == {"blue": 90.0, "green": 10.0}

    @pytest.mark.parametrize(("canary", "stable"), [("green", "blue"), ("blue", "green")])
    def test_shares_are_exact_sticky_and_monotone(self, balancer: Balancer, canary: str, stable: str) -> None:
        """The role itself: exact, sticky, and nobody flips back as a share rises."""
        had: set[str] = set()
        some = self.visitors[::8]
        for percent in (5, 25, 50):
            balancer.set_share({canary: float(percent), stable: 100.0 - percent})
            colours = self.send(balancer, self.visitors)
            has = {visitor for visitor, colour in zip(self.visitors, colours, strict=True) if colour == canary}
            assert len(has) + colours.count(stable) == len(self.visitors)
            assert abs(len(has) * 100 / len(self.visitors) - percent) <= 1, (percent, len(has))
            assert had <= has, "visitors flipped back while the share rose"
            had = has
        assert self.send(balancer, some) == colours[::8], "not sticky"
        balancer.set_share({canary: 25.0, stable: 75.0})
        fewer = {v for v, c in zip(some, self.send(balancer, some), strict=True) if c == canary}
        assert fewer < had, "visitors flipped over while the share fell"
        for percent, colour in ((0, stable), (100, canary)):
            balancer.set_share({canary: float(percent), stable: 100.0 - percent})
            assert set(self.send(balancer, some)) == {colour}

    def test_the_log_begins_where_it_is_opened_and_gives_each_line_once(self, balancer: Balancer) -> None:
        """`log`: opened at its end; `take`: what arrived since the last call. Two readers do not disturb each other."""
        balancer.set_share({"blue": 50.0, "green": 50.0})
        self.send(balancer, ["before"])
        begun = time.time()
        with balancer.log() as log, balancer.log() as other:
            assert log.take() == ()
            colours = self.send(balancer, self.visitors[:50])
            lines = self.taken(log, 50)
            assert len(lines) == 50
            assert {s.visitor: s.colour for s in lines} == dict(zip(self.visitors, colours, strict=False))
            assert {(s.method, s.status, s.retries, s.failed) for s in lines} == {("GET", 200, 0, False)}
            assert all(begun - 1 <= served.at <= time.time() + 1 for served in lines)
            assert all(served.server.startswith(served.colour) for served in lines)
            assert all(0 <= served.seconds < 5 for served in lines)
            self.send(balancer, ["later"])
            assert [served.visitor for served in self.taken(log, 1)] == ["later"]
            assert len(self.taken(other, 51)) == 51
            assert (log.missing, other.missing) == (0, 0)

    def test_a_crash_makes_the_evidence_incomplete_and_the_log_goes_on(self, balancer: Balancer) -> None:
        """`RequestLog.missing`: what is gone with a restart is counted, never passed over."""
        balancer.set_share({"blue": 100.0})
        with balancer.log() as log:
            assert log.missing == 0
            self.restart(balancer)
            assert within(5, lambda: log.missing >= 1)
            log.take()
            assert within(5, lambda: self.send(balancer, ["after"]) and [s for s in log.take() if s.visitor == "after"])

    def test_nobody_is_in_flight_when_nobody_asks(self, balancer: Balancer) -> None:
        """`active`: requests in flight on a colour, 0 when there are none."""
        balancer.set_share({"blue": 100.0})
        assert within(5, lambda: balancer.active("blue") + balancer.active("green") == 0)

    @staticmethod
    def taken(log: RequestLog, count: int) -> list[Served]:
        """So many lines, or what came within a few seconds."""
        lines: list[Served] = []

        def enough() -> bool:
            lines.extend(log.take())
            return len(lines) >= count

        within(5, enough)
        return lines
