"""The per-request log, read from HAProxy's ring by a thread that only moves bytes."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections import deque

from adaf_haproxy.control import TIMEOUT, Control
from adaf_pipeline.errors import ServiceError
from adaf_pipeline.roles import Served

RING = "requests"
UNREAD = 32 << 20  # bytes kept for a caller that does not take; more is counted as missing
POLL = 1.0  # seconds between looks at what the ring dropped
RETRY = 0.05  # seconds between attempts to reach a haproxy that went away
ATTACH = 0.02  # seconds haproxy gets to follow the ring: it sends nothing to say that it does

_DROPPED = re.compile(r"(\d+) events? dropped")


def parse(line: str, hang: float) -> Served:
    """One line of ``log-format`` in haproxy.cfg. ValueError when it is none."""
    mark, at, visitor, colour, server, method, status, retries, state, request, again, total, answer = line.split(" ")
    if mark != "served" or len(state) != 2:
        raise ValueError(line)
    colour, server = ("" if name in ("-", "<NOSRV>") else name for name in (colour, server))
    code, seconds = max(0, int(status)), max(0, int(total)) / 1000
    retried = retries != "0" or again != "-"  # "+1": one retry, and by another server
    elsewhere = bool(colour and server) and server.partition("-")[0] != colour
    # Who ended it: C, c the visitor; L haproxy's own answer; P haproxy refused; the others: server, resources, operator
    broken = state[0] not in "-CcLP" or (state[0] == "P" and not 400 <= code < 500)
    # A visitor who left after waiting long for the first byte met a hang; one who left early just left.
    waited = int(answer) / 1000 if int(answer) >= 0 else seconds
    hung = state[0] in "Cc" and bool(colour) and waited > hang
    return Served(
        at=float(at),
        visitor="" if visitor == "-" else visitor,
        colour=colour,
        server=server,
        method=method,
        status=code,
        retries=int(retries) + (again != "-"),
        request="" if request == "-" else request,
        seconds=seconds,
        failed=code >= 500 or retried or elsewhere or broken or hung,
    )


class Reader:
    """A RequestLog. Its thread follows haproxy over restarts; lines are parsed where they are taken."""

    def __init__(self, control: Control, hang: float) -> None:
        self._control = control
        self._hang = hang
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._chunks: deque[bytes] = deque()
        self._unread = 0
        self._rest = b""
        self._lost = 0  # with a haproxy that ended, not taken in time, or unreadable
        self._announced = 0  # drops that the ring told its readers of
        self._pending = control.dropped(RING)  # drops it could not tell yet
        self._before = self._pending  # drops that are older than this reader
        self._missing = 0
        self._connection = self._open()
        self._thread = threading.Thread(target=self._follow, name="haproxy-log", daemon=True)
        self._thread.start()

    def take(self) -> tuple[Served, ...]:
        with self._lock:
            data = self._rest + b"".join(self._chunks)
            self._chunks.clear()
            self._unread = 0
            lines, _, self._rest = data.rpartition(b"\n")
        served: list[Served] = []
        for line in lines.decode(errors="replace").split("\n"):
            if not line.strip():
                continue
            try:
                served.append(parse(line.strip(), self._hang))
            except ValueError:
                dropped = _DROPPED.search(line)
                with self._lock:
                    if dropped:
                        self._announced += int(dropped[1])
                        self._pending = 0
                    else:
                        self._lost += 1
        return tuple(served)

    @property
    def missing(self) -> int:
        with self._lock:
            dropped = max(0, self._announced + self._pending - self._before)
            self._missing = max(self._missing, self._lost + dropped)
            return self._missing

    def close(self) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._thread.join(POLL + 2 * TIMEOUT)
        self._connection.close()

    def _open(self) -> socket.socket:
        connection = self._control.connect(f"show events {RING} -w -n")
        connection.settimeout(POLL)
        time.sleep(ATTACH)
        return connection

    def _follow(self) -> None:
        looked = time.monotonic()
        while not self._closing.is_set():
            try:
                chunk = self._connection.recv(1 << 18)
            except TimeoutError:
                pass
            except OSError:
                self._again()
            else:
                self._keep(chunk) if chunk else self._again()
            if time.monotonic() - looked > POLL:
                looked = time.monotonic()
                self._look()

    def _keep(self, chunk: bytes) -> None:
        with self._lock:
            if self._unread > UNREAD:
                self._lost += chunk.count(b"\n")
                if self._chunks[-1] != b"\n":
                    self._chunks.append(b"\n")  # what comes later does not belong to the line before the gap
                return
            self._chunks.append(chunk)
            self._unread += len(chunk)

    def _again(self) -> None:
        """haproxy ended, and with it what was in its ring."""
        self._connection.close()
        with self._lock:
            self._lost += 1
            self._pending = self._before = self._announced = 0
            self._chunks.append(b"\n")
        while not self._closing.wait(RETRY):
            with contextlib.suppress(ServiceError):
                self._connection = self._open()
                return

    def _look(self) -> None:
        """Another reader that is stuck blocks the ring, and keeps haproxy from telling us."""
        with contextlib.suppress(ServiceError):
            pending = self._control.dropped(RING)
            with self._lock:
                self._pending = pending
