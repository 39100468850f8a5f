"""The probe stream: visitors of our own, through the public port, for as long as a deploy changes something.

Open loop: the schedule does not slow down when answers do. Nothing is ever retried. GET and POST alternate, half over
connections that are kept alive and reused in turn, half over new ones, every request with a visitor id of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

import h11

from adaf_pipeline.errors import ConfigError, PreconditionError
from adaf_pipeline.workflows.receipt import Result

BEHIND = 0.5  # s; after a longer stall of our own (a suspended laptop) slots are skipped: no flood, no false verdict
NOTICE = 0.1  # s until stop() is noticed
HEADERS = 64 * 1024  # bytes of response headers that are still fine
BODY = b"{}"
ID = "f" * 32  # stands for the id (uuid4 hex) in prepared messages


@dataclass(frozen=True, kw_only=True)
class ProbeSettings:
    """``in_flight`` bounds what has no answer yet; 0 = 1.2 x rate x timeout, which the schedule cannot reach.

    A request that would exceed a smaller bound is not sent and counts as lost (``unsent``): the visitor it stands for
    would have waited behind all of those. ``headers`` are the proxy's ``pass_for_probes()``: for its address alone.
    """

    rate: float = 50.0  # requests/s
    get: tuple[str, ...] = ("/",)  # asked in turn
    post: str = "/api/probe"  # "" = no POST
    cookie: str = "adaf_visitor"
    timeout: float = 5.0  # s, one request from connect to its last byte
    in_flight: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)  # what makes them ours, to an edge that has limits
    connections: int = 8  # kept alive, used in turn, so that each idles a while between its requests


class ClosedError(Exception):
    """The server ended the connection before the first byte of an answer."""


class TruncatedError(Exception):
    """The server ended the connection within an answer."""


class ProbeStream:
    """start(), results() at any time, stop() or close(). Works in a thread of its own."""

    def __init__(self, url: str, settings: ProbeSettings | None = None, clock: Callable[[], float] = time.time) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ConfigError(f"probe stream: {url!r} is not an http:// address", "it takes the url() of the proxy")
        self.settings = settings or ProbeSettings()
        self._clock = clock  # of Result.sent_at
        self.missed = 0  # slots of the schedule in which our own process was stalled: evidence that is missing
        self._host, self._port = parts.hostname, parts.port or 80
        try:
            asked = [("GET", path) for path in self.settings.get] + [("POST", self.settings.post or "/")]
            self._messages = {(m, p, k): self._message(m, p, k, parts.netloc) for m, p in asked for k in (True, False)}
        except h11.LocalProtocolError as exc:
            raise ConfigError(
                f"probe stream: path, cookie name or header: {exc}", "write paths quoted, as in a URL"
            ) from exc
        self._results: list[Result] = []
        self._kept: dict[int, socket.socket] = {}  # idle keep-alive connections by their turn
        self._active = 0
        self._bound = self.settings.in_flight or int(1.2 * self.settings.rate * self.settings.timeout) + 1
        self._ending = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin. PreconditionError when the host has no address."""
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except OSError as exc:
            raise PreconditionError(f"probe stream: {self._host}: {exc}", "the proxy's host needs an address") from exc
        self._family, self._address = found[0][0], found[0][4]
        self._loop = asyncio.new_event_loop()
        self._stream = self._loop.create_task(self._run(self._loop))
        self._thread = threading.Thread(target=self._work, args=(self._loop,), name="adaf-probe", daemon=True)
        self._thread.start()

    def results(self) -> tuple[Result, ...]:
        """Everything that has ended so far, in that order. Any thread may ask: copying a list is atomic."""
        return tuple(self._results)

    def stop(self) -> tuple[Result, ...]:
        """Send no more, wait for what is in flight (at most ``timeout``), return all results. Idempotent."""
        self._ending = True
        self._end(lambda: None)
        return self.results()

    def close(self) -> None:
        """End at once; what is in flight is abandoned and has no result. Idempotent, fine after stop()."""
        if self._loop:
            self._end(self._stream.cancel)

    def _end(self, how: Callable[[], object]) -> None:
        if self._loop is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: it had ended before
            self._loop.call_soon_threadsafe(how)
        self._thread.join()
        if not self._stream.cancelled():
            self._stream.result()  # a bug of ours in the thread is raised here: no silent end of the evidence

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_until_complete(asyncio.wait([self._stream]))
        loop.close()

    async def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        begin, number = loop.time(), 0
        try:
            async with asyncio.TaskGroup() as group:
                while not self._ending:
                    wait = begin + number / self.settings.rate - loop.time()
                    if wait > 0:
                        await asyncio.sleep(min(wait, NOTICE))
                        continue
                    if -wait > BEHIND:
                        self.missed += (skipped := int(-wait * self.settings.rate))
                        number += skipped
                    group.create_task(self._request(number))
                    number += 1
        finally:
            for idle in self._kept.values():
                idle.close()

    async def _request(self, number: int) -> None:
        """One visitor. Everything that can happen to a request becomes a Result; anything else is a bug."""
        method = "POST" if self.settings.post and number % 2 else "GET"
        path = self.settings.post if method == "POST" else self.settings.get[number // 4 % len(self.settings.get)]
        keep = number // 2 % 2 == 1
        turn = (number // 4 * 2 + number % 2) % self.settings.connections if keep else -1
        request, at, begin = uuid.uuid4().hex, self._clock(), time.perf_counter()
        kind: Literal["fresh", "reused", ""] = ""
        status, release, seen, error = 0, "", None, "unsent"
        sock: socket.socket | None = None
        if self._active < self._bound:
            self._active += 1
            try:
                async with asyncio.timeout(self.settings.timeout):
                    sock = self._kept.pop(turn, None)
                    if sock and not still_open(sock):
                        sock.close()
                        sock = None
                    kind = "reused" if sock else "fresh"
                    if sock is None:
                        sock = socket.socket(self._family, socket.SOCK_STREAM)
                        sock.setblocking(False)
                        begun = sock.connect_ex(self._address)  # sock_sendall waits until it is established, if need be
                        if begun not in (0, errno.EINPROGRESS):
                            raise OSError(begun, os.strerror(begun))
                    answer, again = await exchange(sock, self._messages[method, path, keep], request)
                headers = dict(answer.headers)
                status, error, release = answer.status_code, "", headers.get(b"x-release-id", b"").decode("latin-1")
                count = headers.get(b"idempotency-seen", b"")
                seen = int(count) if count.isdigit() else None
                if again and turn not in self._kept:
                    self._kept[turn], sock = sock, None
            except (OSError, h11.RemoteProtocolError, ClosedError, TruncatedError) as exc:
                error = name(exc)
            finally:
                self._active -= 1
                if sock:
                    sock.close()
        seconds = time.perf_counter() - begin
        self._results.append(Result(at, method, kind, status, error, seconds, release, seen, request))

    def _message(self, method: str, path: str, keep: bool, netloc: str) -> h11.Request:
        """Built and validated once, with ID in every place of the request id.

        Only a POST has an Idempotency-Key: whether a GET ran twice is nobody's business.
        """
        headers = {"Host": netloc, "User-Agent": "adaf-probe", "Accept": "*/*", "X-Request-Id": ID}
        headers |= {"Cookie": f"{self.settings.cookie}={ID}", **self.settings.headers}
        if method == "POST":
            headers |= {"Idempotency-Key": ID, "Content-Type": "application/json", "Content-Length": str(len(BODY))}
        if not keep:
            headers["Connection"] = "close"
        return h11.Request(method=method, target=path, headers=list(headers.items()))


def still_open(sock: socket.socket) -> bool:
    """Whether an idle connection is still good: any client notices a FIN that came before it sent, and loses nothing."""
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False  # the end, or words that nobody asked for


async def exchange(sock: socket.socket, message: h11.Request, request: str) -> tuple[h11.Response, bool]:
    """Send one request, read one whole answer; and whether the connection may carry another."""
    loop, http = asyncio.get_running_loop(), h11.Connection(h11.CLIENT, max_incomplete_event_size=HEADERS)
    words = http.send(message) or b""
    if message.method == b"POST":
        words += http.send(h11.Data(data=BODY)) or b""
    http.send(h11.EndOfMessage())
    await loop.sock_sendall(sock, words.replace(ID.encode(), request.encode()))
    answer: h11.Response | None = None
    data, heard = b"", False
    while True:
        try:
            event = http.next_event()
        except h11.RemoteProtocolError as exc:
            raise exc if data else TruncatedError from exc
        if event is h11.NEED_DATA:
            data = await loop.sock_recv(sock, 64 * 1024)
            if not data and not heard:
                raise ClosedError
            heard = True
            http.receive_data(data)
        elif isinstance(event, h11.Response):
            answer = event
        elif isinstance(event, h11.EndOfMessage):
            assert answer is not None
            return answer, http.their_state is h11.DONE and http.our_state is h11.DONE and not http.trailing_data[0]


def name(exc: Exception) -> str:
    """One word for how a request ended."""
    words: dict[type[Exception], str] = {
        TimeoutError: "timeout",
        ConnectionRefusedError: "refused",
        ConnectionResetError: "reset",
        BrokenPipeError: "reset",
        ClosedError: "closed",
        TruncatedError: "truncated",
        h11.RemoteProtocolError: "garbled",
    }
    number = exc.errno if isinstance(exc, OSError) else None
    return words.get(type(exc)) or errno.errorcode.get(number or 0, type(exc).__name__)
