"""A load client that never retries, for tests and benches: what it lost, a visitor would have lost.

    report = Load("http://127.0.0.1:8080", mode="mixed", seconds=5).run()
    with Load(url, requests=20_000).spawn() as load:    # a process of its own; .start() is a thread
        ...
        report = load.stop()                            # or wait() for its bounds

Always ends: by ``requests``, by ``seconds``, or by stop(). The reader is strict: an answer whose end is not told by its
headers, or with a byte too many, is lost.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import MISSING, dataclass, field, fields
from typing import Literal, Self
from urllib.parse import urlsplit

import msgspec

from adaf_pipeline.process import spawn
from adaf_pipeline.testing.wire import BrokenAnswerError, Wire
from adaf_pipeline.workflows.receipt import percentile

PAUSE = 0.01  # s after a loss: a refusing port must not fill the memory with losses
GRACE = 10.0  # s a client process gets beyond its own bounds


@dataclass(frozen=True, slots=True)
class Loss:
    at: float  # unix seconds, when it was sent
    request: str
    method: str
    connection: str  # fresh, reused
    reason: str  # closed, truncated, TimeoutError, ConnectionResetError, ...
    seconds: float


@dataclass
class Report:
    """``sent`` is the sum of ``statuses`` and ``lost``; ``ok`` are complete answers below 400; latencies in ms."""

    sent: int = 0
    ok: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    releases: dict[str, int] = field(default_factory=dict)  # answers by x-release-id, "" = none
    lost: list[Loss] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)  # request id -> status, from 400 on
    posts: list[str] = field(default_factory=list)  # ids of all POSTs sent
    repeated: list[str] = field(default_factory=list)  # ids of answers that said Idempotency-Seen > 1
    reused: int = 0  # requests sent over a connection that had served before
    seconds: float = 0.0
    cpu: float = 0.0  # s of this process: near ``seconds`` means that the client was the limit
    latency: dict[str, float] = field(default_factory=dict)  # p50, p90, p99, max

    @property
    def rate(self) -> float:
        return self.sent / self.seconds if self.seconds else 0.0

    @property
    def confirmed(self) -> set[str]:
        """Ids of the POSTs whose answer was complete and below 400: the application's ledger must have each once."""
        return set(self.posts) - set(self.failures) - {loss.request for loss in self.lost}


@dataclass(frozen=True)
class Load:
    """``rate``: requests/s, latencies counted from when each was due (an open loop while a connection is free: have
    more ``connections`` than rate x the longest answer). None: each connection as fast as it is answered.
    """

    url: str
    connections: int = 16
    mode: Literal["keep", "close", "mixed"] = "keep"  # mixed: every second connection serves one request only
    methods: tuple[str, ...] = ("GET",)  # GET and POST, in turn
    get: str = "/"
    post: str = "/api/probe"
    rate: float | None = None
    requests: int = 1_000_000
    seconds: float = 10.0
    timeout: float = 5.0  # s, one request from connect to its last byte
    cookie: str = "adaf_visitor"
    visitor: Literal["connection", "request", "none"] = "connection"

    def run(self) -> Report:
        """Here and now; blocks."""
        return asyncio.run(Client(self).run())

    def start(self) -> Running:
        """In a thread."""
        return Running(self)

    def spawn(self) -> Spawned:
        """In a process, so that its CPU time is not the caller's; returns when it has begun."""
        return Spawned(self)


class Client:
    """One run of a load."""

    def __init__(self, load: Load) -> None:
        self.load, self.report, self.ending = load, Report(), False
        parts = urlsplit(load.url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._prefix, self._times, self._numbers = uuid.uuid4().hex[:24], list[float](), itertools.count()
        paths = {"GET": load.get, "POST": load.post}
        self._begin = {m: f"{m} {paths[m]} HTTP/1.1\r\nHost: {parts.netloc}\r\n" for m in load.methods}

    async def run(self) -> Report:
        """To the end of its bounds."""
        report, times = self.report, self._times
        self._start, cpu = time.monotonic(), time.process_time()
        await asyncio.gather(*(self._visit(index) for index in range(self.load.connections)))
        report.seconds, report.cpu = time.monotonic() - self._start, time.process_time() - cpu
        ranks = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
        report.latency = {key: round(percentile(times, rank) * 1e3, 3) for key, rank in ranks.items() if times}
        return report

    async def _visit(self, index: int) -> None:
        """One connection after another, or one for all, until a bound is met."""
        load, own, wire = self.load, uuid.uuid4().hex, Wire(self._address)
        once = load.mode == "close" or (load.mode == "mixed" and index % 2 == 1)
        try:
            for served in itertools.count(index // 2):  # so that GET and POST meet both kinds of connections
                number = next(self._numbers)
                due = self._start + number / load.rate if load.rate else time.monotonic()
                if number >= load.requests or due >= self._start + load.seconds:
                    break
                while not self.ending and (wait := due - time.monotonic()) > 0:
                    await asyncio.sleep(min(wait, 0.1))
                if self.ending:
                    break
                request, method = f"{self._prefix}{number:08x}", load.methods[served % len(load.methods)]
                visitor = request if load.visitor == "request" else own
                if not await self._ask(wire, request, method, self._words(request, method, visitor, once), due):
                    await asyncio.sleep(PAUSE)
                if once:
                    wire.close()
        finally:
            wire.close()

    async def _ask(self, wire: Wire, request: str, method: str, words: bytes, due: float) -> bool:
        report, at, reused = self.report, time.time(), wire.reusable()
        report.sent += 1
        report.reused += reused
        if method == "POST":
            report.posts.append(request)
        try:
            async with asyncio.timeout(self.load.timeout):
                status, headers = await wire.ask(words)
        except (OSError, BrokenAnswerError) as exc:
            wire.close()
            reason = str(exc) if isinstance(exc, BrokenAnswerError) else type(exc).__name__
            kind = "reused" if reused else "fresh"
            report.lost.append(Loss(at, request, method, kind, reason, time.monotonic() - due))
            return False
        self._times.append(time.monotonic() - due)
        if b"close" in headers.get(b"connection", b"").lower():
            wire.close()
        release = headers.get(b"x-release-id", b"").decode("latin-1")
        report.statuses[str(status)] = report.statuses.get(str(status), 0) + 1
        report.releases[release] = report.releases.get(release, 0) + 1
        report.ok += status < 400
        if status >= 400:
            report.failures[request] = status
        if headers.get(b"idempotency-seen", b"1") != b"1":
            report.repeated.append(request)
        return True

    def _words(self, request: str, method: str, visitor: str, once: bool) -> bytes:
        words = f"{self._begin[method]}X-Request-Id: {request}\r\n"
        if self.load.visitor != "none":
            words += f"Cookie: {self.load.cookie}={visitor}\r\n"
        if once:
            words += "Connection: close\r\n"
        if method == "POST":
            words += f"Idempotency-Key: {request}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
        return f"{words}\r\n{'{}' if method == 'POST' else ''}".encode()


class Running:
    """A load in a thread."""

    def __init__(self, load: Load) -> None:
        self._client = Client(load)
        pool = ThreadPoolExecutor(1, "adaf-load")
        self._report = pool.submit(asyncio.run, self._client.run())
        pool.shutdown(wait=False)

    def stop(self) -> Report:
        """Send no more, wait for the answers."""
        self._client.ending = True
        return self._report.result()

    def wait(self) -> Report:
        """Until its bounds end it."""
        return self._report.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Spawned:
    """A load in a process. It ends when its stdin does: with us, at the latest. One stop() or wait()."""

    def __init__(self, load: Load) -> None:
        self._bound = load.seconds + load.timeout + GRACE
        flags = [f"--{key}={','.join(x) if isinstance(x, tuple) else x}" for key, x in vars(load).items()]
        argv = [sys.executable, "-m", "adaf_pipeline.testing.load", "--json", "--child", *flags]
        path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._child = spawn(argv, env=path, stdin=subprocess.PIPE, stderr=None)
        assert self._child.stdin and self._child.stdout
        self._stdin, self._stdout = self._child.stdin, self._child.stdout
        self._stdout.readline()

    def stop(self) -> Report:
        """Send no more, wait for the answers."""
        self._stdin.close()
        return self.wait()

    def wait(self) -> Report:
        """Until its bounds end it."""
        alarm = threading.Timer(self._bound, self._child.kill)
        alarm.start()
        try:
            return msgspec.json.decode(self._stdout.read(), type=Report)
        finally:
            alarm.cancel()
            self._child.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()  # nothing, after stop() or wait()
        self._stdin.close()
        self._stdout.close()
        self._child.wait()


def main() -> None:
    """``python -m adaf_pipeline.testing.load --url http://... [--json]``."""
    kinds: dict[str, Callable[[str], object]] = {
        "url": str,
        "methods": lambda text: tuple(text.split(",")),
        "rate": lambda text: None if text == "None" else float(text),
    }
    parser = argparse.ArgumentParser(prog="python -m adaf_pipeline.testing.load", description=__doc__)
    for item in fields(Load):
        kind = kinds.get(item.name, type(item.default))
        parser.add_argument(f"--{item.name}", type=kind, required=item.default is MISSING, default=item.default)
    parser.add_argument("--json", action="store_true", help="the whole report as one JSON document")
    parser.add_argument("--child", action="store_true", help="say when it has begun, end when stdin does")
    flags = vars(parser.parse_args())
    as_json, child = flags.pop("json"), flags.pop("child")
    with Load(**flags).start() as running:
        if child:
            print("begun", flush=True)
            threading.Thread(target=lambda: os.read(0, 1) or running.stop(), daemon=True).start()
        report = running.wait()
    if as_json:
        print(msgspec.json.encode(report).decode())
        return
    reasons = Counter(f"{loss.method} {loss.connection} {loss.reason}" for loss in report.lost)
    print(f"{report.sent:,} sent, {report.rate:,.0f}/s, {len(report.lost)} lost {dict(reasons) or ''}")
    print(f"statuses {report.statuses}, releases {report.releases}, ms {report.latency}, cpu {report.cpu:.2f} s")


if __name__ == "__main__":
    main()
