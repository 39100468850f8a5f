"""How HAProxy's per-request log is read, without HAProxy."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from adaf_haproxy import requestlog
from adaf_haproxy.control import Control
from adaf_haproxy.requestlog import Reader, parse
from adaf_pipeline.errors import ServiceError
from adaf_pipeline.roles import Served
from adaf_pipeline.testing.balancer import within


def line(**said: object) -> str:
    """A line as haproxy writes it, with what is told apart."""
    words: dict[str, object] = {
        "mark": "served",
        "at": "1795575116.702",
        "visitor": "v1",
        "colour": "green",
        "server": "green-1",
        "method": "GET",
        "status": 200,
        "retries": 0,
        "state": "--",
        "request": "r-0000001",
        "again": "-",
        "total": 12,
        "answer": 10,
    }
    return " ".join(str(word) for word in (words | said).values())


def test_a_line_is_parsed() -> None:
    assert parse(line(), 4) == Served(
        1795575116.702, "v1", "green", "green-1", "GET", 200, 0, "r-0000001", 0.012, failed=False
    )


@pytest.mark.parametrize(
    ("said", "failed"),
    [
        ({"status": 404}, False),
        ({"status": 500}, True),
        ({"status": 502, "state": "SH"}, True),
        ({"status": 504, "state": "sH"}, True),
        ({"state": "SD"}, True),  # cut in the middle of the body
        ({"state": "PD"}, True),  # chunks that are none
        ({"state": "KD"}, True),
        ({"retries": 1}, True),
        ({"retries": "+1", "server": "blue-1-once"}, True),
        ({"server": "blue-1"}, True),  # its own was not even asked
        ({"again": 1}, True),
        ({"state": "cD"}, False),  # a visitor who stopped reading
        ({"state": "CD", "answer": 10}, False),
        ({"state": "CD", "answer": 4100, "total": 4200}, True),  # waited long, and left in the body
        ({"status": -1, "state": "CH", "answer": -1, "total": 3900}, False),
        ({"status": 400, "state": "CH", "answer": -1, "total": 4100}, True),
        ({"status": 400, "state": "CR", "colour": "-", "server": "<NOSRV>", "answer": -1, "total": 9000}, False),
        ({"status": 400, "state": "PR", "colour": "-", "method": "<BADREQ>", "server": "<NOSRV>"}, False),
        ({"status": 503, "state": "LR", "colour": "-", "server": "<NOSRV>"}, True),
    ],
)
def test_what_counts_as_a_failure(said: dict[str, object], failed: bool) -> None:
    served = parse(line(**said), 4)
    assert served.failed is failed
    assert served.status >= 0
    assert served.colour in {"green", ""}


@pytest.mark.parametrize(
    "wrong", ["", "served", "3 events dropped", line()[:-8], line(status="x"), line(visitor="a b")]
)
def test_what_is_no_line_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError):
        parse(wrong, 4)


class Ring:
    """Plays haproxy: the reader is at one end of a socket pair."""

    def __init__(self) -> None:
        self.up = True
        self.pending = 0
        self.ends: list[socket.socket] = []

    def connect(self, command: str) -> socket.socket:
        assert command == "show events requests -w -n"
        if not self.up:
            raise ServiceError("down")
        mine, other = socket.socketpair()
        self.ends.append(mine)
        return other

    def dropped(self, _ring: str) -> int:
        return self.pending

    def say(self, text: str) -> None:
        self.ends[-1].sendall(text.encode())


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ring]:
    monkeypatch.setattr(requestlog, "POLL", 0.05)
    monkeypatch.setattr(requestlog, "ATTACH", 0)
    made = Ring()
    yield made
    for end in made.ends:
        end.close()


@pytest.fixture
def opened(ring: Ring) -> Iterator[Callable[[], Reader]]:
    readers: list[Reader] = []

    def make() -> Reader:
        readers.append(Reader(cast(Control, ring), 4))
        return readers[-1]

    yield make
    for reader in readers:
        reader.close()


def take(reader: Reader, count: int) -> list[Served]:
    found: list[Served] = []

    def enough() -> bool:
        found.extend(reader.take())
        return len(found) >= count

    within(2, enough)
    return found


def test_lines_arrive_once_and_whole(ring: Ring, opened: Callable[[], Reader]) -> None:
    reader = opened()
    ring.say(f"{line(visitor='a')}\n{line(visitor='b')}\n{line(visitor='c')[:20]}")
    assert [served.visitor for served in take(reader, 2)] == ["a", "b"]
    ring.say(f"{line(visitor='c')[20:]}\n\n")
    assert [served.visitor for served in take(reader, 1)] == ["c"]
    assert reader.take() == ()
    assert reader.missing == 0


def test_what_cannot_be_read_and_what_was_dropped_is_missing(ring: Ring, opened: Callable[[], Reader]) -> None:
    reader = opened()
    ring.say(f"{line()}\nnonsense \xff\n17 events dropped\n1 event dropped\n{line()}\n")
    assert len(take(reader, 2)) == 2
    assert reader.missing == 19


def test_drops_that_nobody_could_announce_are_missing(ring: Ring, opened: Callable[[], Reader]) -> None:
    ring.pending = 100  # from before this reader
    reader = opened()
    assert reader.missing == 0
    ring.pending = 130
    assert within(2, lambda: reader.missing == 30)
    ring.pending = 0
    ring.say(f"130 events dropped\n{line()}\n")
    take(reader, 1)
    assert within(2, lambda: reader.missing == 30)
    ring.pending = 0
    assert reader.missing == 30


def test_it_follows_haproxy_over_a_restart(ring: Ring, opened: Callable[[], Reader]) -> None:
    reader = opened()
    ring.say(f"{line(visitor='a')}\n{line(visitor='cut')[:30]}")
    ring.up = False
    ring.ends[-1].close()
    assert within(2, lambda: reader.missing >= 1)
    ring.up = True
    assert within(2, lambda: len(ring.ends) == 2)
    ring.say(f"{line(visitor='b')}\n")
    assert [served.visitor for served in take(reader, 2)] == ["a", "b"]
    assert reader.missing == 2  # the restart, and the line that it cut


def test_a_caller_that_never_takes_costs_bounded_memory(
    ring: Ring, opened: Callable[[], Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requestlog, "UNREAD", 1000)
    reader = opened()
    said = 0

    def one_more() -> bool:
        nonlocal said
        ring.say(f"{line()}\n" * 10)
        said += 10
        return reader.missing >= 100

    assert within(5, one_more)
    kept = 0

    def all_accounted_for() -> bool:
        nonlocal kept
        kept += len(reader.take())
        return kept + reader.missing >= said

    assert within(2, all_accounted_for)
    assert kept < 100
    ring.say(f"{line(visitor='after')}\n")
    assert [served.visitor for served in take(reader, 1)] == ["after"]


def test_a_log_of_a_haproxy_that_is_down_is_an_error(ring: Ring, opened: Callable[[], Reader]) -> None:
    ring.up = False
    with pytest.raises(ServiceError):
        opened()


def test_closing_does_not_wait(ring: Ring) -> None:
    reader = Reader(cast(Control, ring), 4)
    reader.close()
    assert not reader._thread.is_alive()
