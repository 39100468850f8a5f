"""The tiny application of the tests: standard library only, python >= 3.9.

``behaviour`` (JSON beside this file, read at start) makes it bad: {"never_ready": true}, {"fail": 0.2} answer 500,
{"drop": 0.2} close without a byte, {"crash_after": N} die at the request after N, {"slow": 0.5} s, {"hang": true} never
answer, {"hang": "traffic"} answer the health paths only. Health paths are spared by all but never_ready and hang: true.
{"tell": "file"} appends the X-Request-Id of each request that it fails or drops. {"worker": "ends"}: see worker.py.

LEDGER gets the Idempotency-Key of every POST before it is answered: a file, or ``cache``, the hash app:ledger there,
which colours and hosts share; without an answer from the cache the POST is a 503.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

RELEASE, COLOUR, LEDGER = (os.environ.get(name, "") for name in ("ADAF_RELEASE", "ADAF_COLOUR", "LEDGER"))
LINGER = 0.2  # s after SIGTERM in which one can see that readiness fails
REASONS = {200: "OK", 404: "Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}
file = Path(__file__).with_name("behaviour")
bad: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
executed: dict[str, int] = {}  # by Idempotency-Key; -1: the cache did not say
pending: set[asyncio.Task[None]] = set()
state = {"traffic": 0, "open": 0, "draining": 0}
UNSAID = (OSError, EOFError, asyncio.TimeoutError, ValueError)


class Cache:
    """HINCRBY, one at a time, and nothing is said twice; a connection that broke is made anew after a moment."""

    def __init__(self) -> None:
        self.turn, self.broke = asyncio.Lock(), -1.0
        self.wire: tuple[Any, ...] = ()  # reader and writer, when connected

    async def count(self, key: str) -> int:
        """How often the key came, this time included."""
        async with self.turn:
            if time.monotonic() < self.broke + 0.2:  # or all that wait would wait for it, one after the other
                raise ConnectionError("a moment ago it was not there")
            try:
                if not self.wire:
                    host, port = os.environ["REDIS_HOST"], os.environ["REDIS_PORT"]
                    self.wire = await asyncio.wait_for(asyncio.open_connection(host, int(port)), 1)
                    password = Path(os.environ["REDIS_PASSWORD_FILE"]).read_text().strip()
                    await self.say("AUTH", os.environ["REDIS_USERNAME"], password)
                return int((await self.say("HINCRBY", "app:ledger", key, "1"))[1:])
            except UNSAID:
                if self.wire:
                    self.wire[1].close()
                self.wire, self.broke = (), time.monotonic()
                raise

    async def say(self, *words: str) -> str:
        reader, writer = self.wire
        writer.write("\r\n".join([f"*{len(words)}", *(f"${len(word)}\r\n{word}" for word in words), ""]).encode())
        line: bytes = await asyncio.wait_for(reader.readuntil(b"\r\n"), 1)
        answer = line.decode().strip()
        if answer.startswith("-"):
            raise ValueError(answer)
        return answer


cache: Cache  # made by main()


class Connection(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.transport, self.data, self.busy = transport, b"", False

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, mark, rest = self.data.partition(b"\r\n\r\n")
        if self.busy or not mark:
            return
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
        size = int(headers.get("content-length", 0))
        if len(rest) >= size:
            self.data, self.busy = rest[size:], True
            method, target, _ = line.split(" ")
            self.request(method, target.partition("?")[0], headers)

    def request(self, method: str, path: str, headers: dict[str, str]) -> None:
        health = path.startswith("/api/health/")
        state["traffic"] += not health
        if bad.get("hang") is True or (bad.get("hang") and not health):
            return
        if not health and state["traffic"] > bad.get("crash_after", state["traffic"]):
            os._exit(1)
        if not health and random.random() < bad.get("drop", 0):
            told(headers)
            self.transport.close()
            return
        state["open"] += 1
        delay = 0 if health else bad.get("slow", 0)
        if delay:
            asyncio.get_running_loop().call_later(delay, self.answer, method, path, headers)
        elif LEDGER == "cache" and (method, path) == ("POST", "/api/probe"):
            task = asyncio.get_running_loop().create_task(self.counted(method, path, headers))
            pending.add(task)
            task.add_done_callback(pending.discard)
        else:
            self.answer(method, path, headers)

    async def counted(self, method: str, path: str, headers: dict[str, str]) -> None:
        key = headers.get("idempotency-key", "")
        try:
            executed[key] = await cache.count(key) - 1
        except UNSAID as exc:
            executed[key] = -1
            print(f"no ledger: {type(exc).__name__} {exc}", flush=True)
        self.answer(method, path, headers)

    def answer(self, method: str, path: str, headers: dict[str, str]) -> None:
        status, more = 200, ""
        key = headers.get("idempotency-key", "")
        if path == "/api/health/ready":
            status = 503 if state["draining"] or bad.get("never_ready") else 200
        elif path == "/api/health/live":
            pass
        elif random.random() < bad.get("fail", 0):
            told(headers)
            status = 500
        elif (method, path) == ("POST", "/api/probe") and executed.get(key) == -1:
            status = 503
        elif (method, path) == ("POST", "/api/probe"):
            executed[key] = executed.get(key, 0) + 1
            more = f"Idempotency-Seen: {executed[key]}\r\n"
            if LEDGER not in ("", "cache"):
                os.write(ledger, f"{key}\n".encode())
        elif path != "/":
            status = 404
        body = f"{RELEASE} {COLOUR}\n"
        last = bool(state["draining"]) or headers.get("connection", "").lower() == "close"
        more += "Connection: close\r\n" if last else ""
        self.transport.write(
            f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
            f"x-release-id: {RELEASE}\r\nx-process: {os.getpid()}\r\n{more}\r\n{body}".encode()
        )
        state["open"] -= 1
        self.busy = False
        if last:
            self.transport.close()
        elif self.data:
            self.data_received(b"")  # the next one came early


def told(headers: dict[str, str]) -> None:
    if "tell" in bad:
        os.write(tell, f"{headers.get('x-request-id', '')}\n".encode())


async def main() -> None:
    global cache
    cache = Cache()  # on Python 3.9 a Lock belongs to the loop that runs
    loop, term = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, term.set)
    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])
    server = await loop.create_server(Connection, host, port, backlog=1024)
    print(f"{RELEASE} {COLOUR} listens on {host}:{port}", flush=True)
    await term.wait()
    state["draining"] = 1
    await asyncio.sleep(LINGER)
    server.close()
    while state["open"]:
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    if LEDGER not in ("", "cache"):
        ledger = os.open(LEDGER, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    if "tell" in bad:
        tell = os.open(bad["tell"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    asyncio.run(main())
