"""The probe stream, the load client and the tiny application, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from driving import free_port

from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.testing.load import Load
from adaf_pipeline.workflows.probe import ProbeSettings, ProbeStream
from adaf_pipeline.workflows.receipt import Receipt, Result

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx-release-id: r1\r\nIdempotency-Seen: 1\r\n\r\nok"
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[bool]]


class Server:
    """Calls ``answer(reader, writer, n)`` for the n-th request (from 1) of each connection; False ends it."""

    def __init__(self, answer: Answer) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.heads: list[str] = []
        self.connections = 0
        self._answer, self._begun, self._loop = answer, threading.Event(), asyncio.new_event_loop()
        self._main = self._loop.create_task(self._serve())
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        assert self._begun.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join(10)

    def _work(self) -> None:
        self._loop.run_until_complete(asyncio.wait([self._main]))
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        if left:
            self._loop.run_until_complete(asyncio.wait(left))
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(
            self._connection, "127.0.0.1", int(self.url.rpartition(":")[2]), backlog=512
        )
        self._begun.set()
        async with server:
            await asyncio.Event().wait()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = 0
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                if "Content-Length: 2" in head:
                    await reader.readexactly(2)
                self.heads.append(head)
                number += 1
                if not await self._answer(reader, writer, number) or "Connection: close" in head:
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


def says(words: bytes, *, then: bool = True) -> Answer:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _number: int) -> bool:
        writer.write(words)
        return then

    return answer


def probe(server: Server | str, seconds: float = 1.0, **settings: object) -> tuple[Result, ...]:
    url = server if isinstance(server, str) else server.url
    stream = ProbeStream(url, ProbeSettings(**{"rate": 100.0, **settings}))  # type: ignore[arg-type]
    try:
        stream.start()
        time.sleep(seconds)
        return stream.stop()
    finally:
        stream.close()


def test_a_good_server_loses_nothing() -> None:
    with Server(says(OK)) as server:
        results = probe(server, 2.0)
    assert 180 <= len(results) <= 240
    assert {(r.status, r.error, r.release, r.seen, r.lost) for r in results} == {(200, "", "r1", 1, False)}
    kinds = Counter((r.method, r.connection) for r in results)
    assert kinds["GET", "reused"] + kinds["POST", "reused"] == len(results) - server.connections
    assert 8 <= server.connections - len(results) // 2 <= 10  # half have one of their own, the others share eight
    assert abs(sum(n for (method, _), n in kinds.items() if method == "GET") - len(results) / 2) <= 1
    posts = [head for head in server.heads if head.startswith("POST /api/probe ")]
    assert all("Idempotency-Key: " in head for head in posts) and len(posts) == len(server.heads) // 2
    visitors = {
        line for head in server.heads for line in head.split("\r\n") if line.startswith("Cookie: adaf_visitor=")
    }
    assert len(visitors) == len(results)
    assert {f"Cookie: adaf_visitor={r.request}" for r in results} == visitors


def test_no_post_when_there_is_no_path_for_it() -> None:
    with Server(says(OK)) as server:
        results = probe(server, 0.5, post="", get=("/x",))
    assert {r.method for r in results} == {"GET"} and {r.connection for r in results} == {"fresh", "reused"}
    assert all(head.startswith("GET /x ") for head in server.heads)


async def close_at_the_second(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
    if number == 1:
        writer.write(OK)
    return number == 1


def test_a_reused_connection_closed_without_a_byte_is_lost_and_never_sent_again() -> None:
    with Server(close_at_the_second) as server:
        results = probe(server)
    lost = [r for r in results if r.lost]
    assert lost and {(r.error, r.connection, r.status) for r in lost} <= {
        ("closed", "reused", 0),
        ("reset", "reused", 0),
    }
    assert not [r for r in results if r.connection == "reused" and not r.lost]
    assert len(server.heads) == len(results)
    assert Receipt.of(results, baseline_until=None).lost == len(lost)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (b"", "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Len", "truncated"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "truncated"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "truncated"),
        (b"\x00\x01garbage\r\n\r\n", "garbled"),
    ],
)
def test_what_is_not_a_complete_answer_is_lost(words: bytes, error: str) -> None:
    with Server(says(words, then=False)) as server:
        results = probe(server, 0.4)
        report = Load(server.url, requests=16, seconds=5, methods=("GET", "POST")).run()
    assert results and {(r.error, r.lost, r.status) for r in results} == {(error, True, 0)}
    assert report.sent == 16 == len(report.lost) and not report.statuses and len(report.posts) == 8
    assert len({head.partition("X-Request-Id: ")[2][:32] for head in server.heads}) == len(results) + 16


@pytest.mark.parametrize(("release", "lost"), [("", True), ("x-release-id: r2\r\n", False)])
def test_a_5xx_is_lost_unless_an_application_gave_it(release: str, lost: bool) -> None:
    words = f"HTTP/1.1 503 No\r\nContent-Length: 0\r\n{release}\r\n".encode()
    with Server(says(words)) as server:
        results = probe(server, 0.4)
    receipt = Receipt.of(results, baseline_until=None)
    assert {r.lost for r in results} == {lost}
    assert (receipt.lost, receipt.errors) == ((len(results), 0) if lost else (0, len(results)))


def test_an_answer_that_ends_with_its_connection_is_complete() -> None:
    with Server(says(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", then=False)) as server:
        results = probe(server, 0.3)
    assert {(r.status, r.error) for r in results} == {(200, "")}


def test_a_connection_with_words_left_over_is_not_used_again() -> None:
    with Server(says(OK + b"and more")) as server:
        results = probe(server, 0.4)
    assert {(r.status, r.error, r.connection) for r in results} == {(200, "", "fresh")}


def test_a_request_that_ran_twice_is_counted_once() -> None:
    with Server(says(OK.replace(b"Seen: 1", b"Seen: 2"))) as server:
        results = probe(server, 0.3)
        report = Load(server.url, requests=10).run()
    assert Receipt.of(results, baseline_until=None).duplicated == len(results) and len(report.repeated) == 10


async def close_soon(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _number: int) -> bool:
    writer.write(OK)
    await asyncio.sleep(0.05)
    return False


async def too_much(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _number: int) -> bool:
    writer.write(OK)
    await asyncio.sleep(0.05)
    writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
    return True


@pytest.mark.parametrize("answer", [close_soon, too_much])
def test_an_idle_connection_that_ended_is_noticed_before_it_is_used(answer: Answer) -> None:
    with Server(answer) as server:
        results = probe(server, 1.5, rate=40.0)
        report = Load(server.url, connections=2, rate=10, seconds=1).run()
    assert {(r.status, r.connection, r.error) for r in results} == {(200, "fresh", "")}
    assert not report.lost and report.reused == 0 and report.ok == report.sent == 10


async def silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter, _number: int) -> bool:
    await reader.read()
    return False


def test_a_server_that_hangs_costs_a_timeout_each_and_the_schedule_nothing() -> None:
    with Server(silence) as server:
        results = probe(server, 1.0, timeout=0.5)
        begin = time.monotonic()
        report = Load(server.url, connections=4, timeout=0.3, requests=8).run()
    assert 90 <= len(results) <= 140
    assert {(r.error, r.status) for r in results} == {("timeout", 0)}
    assert all(0.45 < r.seconds < 3 for r in results)
    assert {loss.reason for loss in report.lost} == {"TimeoutError"} and time.monotonic() - begin < 3


async def slow(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _number: int) -> bool:
    await asyncio.sleep(0.8)
    writer.write(OK)
    return True


def test_the_loop_is_open_a_slow_server_gets_as_many_requests() -> None:
    with Server(slow) as server:
        results = probe(server, 2.0)
    assert 180 <= len(results) <= 240 and not any(r.lost for r in results)


def test_what_would_exceed_the_bound_is_lost_and_not_sent() -> None:
    with Server(silence) as server:
        results = probe(server, 0.6, in_flight=10, timeout=2.0)
    kinds = Counter(r.error for r in results)
    assert kinds["timeout"] == 10 == len(server.heads) and kinds["unsent"] == len(results) - 10 > 20


def test_a_stall_of_our_own_is_missing_evidence_and_no_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    stalls = [1.0]

    def stall(_sock: socket.socket) -> bool:
        time.sleep(stalls.pop() if stalls else 0)
        return True

    monkeypatch.setattr("adaf_pipeline.workflows.probe.still_open", stall)
    with Server(says(OK)) as server:
        stream = ProbeStream(server.url, ProbeSettings(rate=100.0))
        try:
            stream.start()
            time.sleep(2.0)
            results = stream.stop()
        finally:
            stream.close()
    assert stream.missed >= 90 and len(results) <= 160 and not any(r.lost for r in results)
    assert Receipt.of(results, baseline_until=None, missed=stream.missed).missed == stream.missed


def test_nobody_listens() -> None:
    results = probe(f"http://127.0.0.1:{free_port()}", 0.3)
    assert results and {r.error for r in results} == {"refused"}


def test_a_host_without_an_address_is_said_at_once() -> None:
    with pytest.raises(PreconditionError, match=r"nowhere\.invalid"):
        ProbeStream("http://nowhere.invalid").start()


def test_close_abandons_what_is_in_flight() -> None:
    with Server(silence) as server:
        stream = ProbeStream(server.url)
        stream.start()
        time.sleep(0.3)
        begin = time.monotonic()
        stream.close()
        stream.close()
        assert time.monotonic() - begin < 1 and stream.stop() == ()


def test_a_bug_in_the_thread_is_raised_by_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_args: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(ProbeStream, "_request", broken)
    with Server(says(OK)) as server:
        stream = ProbeStream(server.url)
        stream.start()
        time.sleep(0.1)
        with pytest.raises(ExceptionGroup):
            stream.stop()
