"""The load client's strict reader, without a network."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaf_pipeline.testing.load import Client, Load, Loss, Report
from adaf_pipeline.testing.wire import BrokenAnswerError, read_answer

T = TypeVar("T")
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Release-Id: r1\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 201 \r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nTrailer: t\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + PLAIN
WHOLE = [PLAIN, CHUNKED, EMPTY, EARLY]


def finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run what never has to wait; an event loop would open sockets."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("it waits")


def read(*pieces: bytes) -> tuple[int, dict[bytes, bytes]]:
    left = [*pieces, b""]

    async def more() -> bytes:
        return left.pop(0)

    return finish(read_answer(more))


def by_h11(answer: bytes) -> tuple[int, int]:
    http, status = h11.Connection(h11.CLIENT), 0
    http.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    http.send(h11.EndOfMessage())
    http.receive_data(answer)
    while not isinstance(event := http.next_event(), h11.EndOfMessage):
        if isinstance(event, h11.Response):
            status = event.status_code
    return status, len(http.trailing_data[0])


@given(st.sampled_from(WHOLE), st.data())
def test_an_answer_is_the_same_however_it_arrives(answer: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(answer) - 1), max_size=8)))
    pieces = [answer[a:b] for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    status, _ = read(*pieces)
    assert (status, 0) == by_h11(answer)


@given(st.sampled_from(WHOLE), st.data())
def test_every_cut_is_noticed(answer: bytes, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(answer) - 1))
    with pytest.raises(BrokenAnswerError, match=r"\Atruncated\Z" if end else r"\Aclosed\Z"):
        read(answer[:end])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (PLAIN + b"x", "1 bytes beyond"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil I close", "no clear end"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello", "no clear end"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "header"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", "no clear end"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "header"),
        (b"HTTP/1.1 200 OK\r\nName : x\r\n\r\n", "header"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "status line"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "status line"),
        (b"nonsense\r\n\r\n", "status line"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "chunk size"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", "chunk longer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "without an end"),
    ],
)
def test_what_is_ambiguous_is_broken(answer: bytes, said: str) -> None:
    with pytest.raises(BrokenAnswerError, match=said):
        read(answer)


def test_header_names_are_lower_case_and_values_bare() -> None:
    assert read(PLAIN)[1] == {b"content-length": b"5", b"x-release-id": b"r1"}


def test_requests_carry_who_and_what() -> None:
    client = Client(Load("http://h:81", methods=("GET", "POST"), cookie="v"))
    post = client._words("id1", "POST", "me", True).decode()
    assert post.startswith("POST /api/probe HTTP/1.1\r\nHost: h:81\r\n") and post.endswith("\r\n\r\n{}")
    assert {"X-Request-Id: id1", "Cookie: v=me", "Idempotency-Key: id1", "Connection: close"} <= set(post.split("\r\n"))
    get = client._words("id2", "GET", "me", False).decode()
    assert get.endswith("\r\n\r\n") and "Idempotency-Key" not in get and "Connection" not in get


def test_confirmed_are_the_posts_that_were_answered_well() -> None:
    loss = Loss(0, "b", "POST", "fresh", "closed", 0.1)
    report = Report(sent=4, posts=["a", "b", "c"], failures={"c": 500}, lost=[loss], seconds=2)
    assert report.confirmed == {"a"} and report.rate == 2
