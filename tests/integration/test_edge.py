"""The complete way in, with the real nginx and haproxy: visitor -> nginx -> haproxy -> blue | green.

What it holds above all: every failure that a client saw was seen by the balancer's log, for the right colour.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from adaf_haproxy.backend import HAProxy
from adaf_nginx.backend import Nginx
from adaf_pipeline.errors import ServiceError
from adaf_pipeline.process import Account, find_account, spawn
from adaf_pipeline.roles import Balancer, RequestLog, Served
from adaf_pipeline.service import Ref, Service, Text
from adaf_pipeline.testing.balancer import BalancerContract, within

pytestmark = pytest.mark.skipif(
    shutil.which("haproxy") is None or shutil.which("nginx") is None, reason="needs the packages of ci/packages"
)
HANG = 0.4  # seconds; the visitors of these tests wait a little longer before they give up
BINARIES = {name: os.environ.get(f"EDGE_{name.upper()}") or shutil.which(name) or name for name in ("haproxy", "nginx")}


# ------------------------------------------------------------------------------------------------ the application


class Colour(asyncio.Protocol):
    """One colour. ``X-Mode`` of a request says how it fails, if this colour is bad."""

    def __init__(self, app: App, name: str) -> None:
        self.app, self.name, self.data = app, name, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self.app.refuse == self.name:
            self.reset()

    def data_received(self, data: bytes) -> None:
        self.data += data
        while b"\r\n\r\n" in self.data:
            head, _, rest = self.data.partition(b"\r\n\r\n")
            size = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            length = int(size[1]) if size else 0
            if len(rest) < length:
                return
            self.data = rest[length:]
            self.request(head)

    def request(self, head: bytes) -> None:
        headers = dict(re.findall(rb"(?m)^([^:\r\n]+): *([^\r\n]*)", head.lower()))
        request = headers.get(b"x-request-id", b"").decode()
        if head.startswith(b"POST"):
            self.app.executed[request] += 1
        mode = headers.get(b"x-mode", b"").decode() if self.name in self.app.bad else ""
        tag = f"X-Release-Id: r-{self.name}\r\nX-Powered-By: tests 1.0\r\nServer: tests/1.0\r\n"
        ok = f"HTTP/1.1 200 OK\r\n{tag}Content-Length: 5\r\n\r\n"
        match mode:
            case "":
                path = head.split(b" ")[1]
                if path == b"/headers":
                    body = json.dumps({k.decode(): v.decode("latin-1") for k, v in headers.items()})
                    self.say(f"HTTP/1.1 200 OK\r\n{tag}Content-Length: {len(body)}\r\n\r\n{body}")
                elif path == b"/stream":
                    self.say(f"HTTP/1.1 200 OK\r\n{tag}Transfer-Encoding: chunked\r\n\r\n6\r\nfirst\n\r\n")
                    self.later(0.5, "5\r\nlast\n\r\n0\r\n\r\n")
                elif path == b"/socket":
                    self.say(
                        f"HTTP/1.1 101 Switching Protocols\r\n{tag}Upgrade: websocket\r\nConnection: Upgrade\r\n"
                        f"Sec-WebSocket-Accept: {accept(head)}\r\n\r\necho"
                    )
                else:
                    self.say(f"{ok}hello")
            case "500":
                self.say(f"HTTP/1.1 500 Oops\r\n{tag}Content-Length: 4\r\n\r\noops")
            case "empty":
                self.transport.close()
            case "reset":
                self.reset()
            case "half-headers":
                self.say("HTTP/1.1 200 OK\r\nX-Half: ")
                self.transport.close()
            case "junk":
                self.say("what is HTTP?\r\n\r\n")
                self.transport.close()
            case "cut":
                self.say(f"HTTP/1.1 200 OK\r\n{tag}Content-Length: 5000\r\n\r\nonly this")
                self.transport.close()
            case "cut-chunks":
                self.say(f"HTTP/1.1 200 OK\r\n{tag}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
                self.transport.close()
            case "hang":
                pass
            case "slow":
                self.later(0.3, f"{ok}hello")

    def say(self, words: str) -> None:
        self.transport.write(words.encode())

    def later(self, seconds: float, words: str) -> None:
        asyncio.get_running_loop().call_later(seconds, self.say, words)

    def reset(self) -> None:
        link = self.transport.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def accept(head: bytes) -> str:
    """RFC 6455, 4.2.2."""
    key = re.findall(rb"(?im)^sec-websocket-key: *(\S+)", head)[0]
    return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


class App:
    """Both colours, in a thread with a loop of its own."""

    def __init__(self, ports: dict[str, int]) -> None:
        self.ports = ports
        self.bad = {"green"}
        self.refuse = ""  # a colour that accepts and resets at once
        self.executed: Counter[str] = Counter()  # POSTs by request id
        self.loop = asyncio.new_event_loop()
        self.servers: dict[str, asyncio.Server] = {}
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        for colour in ports:
            self.up(colour)

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def up(self, colour: str) -> None:
        async def listen() -> None:
            self.servers[colour] = await self.loop.create_server(
                lambda: Colour(self, colour), "127.0.0.1", self.ports[colour], backlog=1024
            )

        self.call(listen())

    def down(self, colour: str) -> None:
        async def close() -> None:
            self.servers[colour].close()

        self.call(close())

    def end(self) -> None:
        async def cancel() -> None:
            for server in self.servers.values():
                server.close()

        self.call(cancel())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()


# ------------------------------------------------------------------------------------- just enough of a runtime


class Lab:
    """Renders Services and runs them, knows where everything is."""

    name = "edge"

    def __init__(self, base: Path, account: Account | None) -> None:
        self.checkout = self.state = self.base = base
        self.account = account
        self.ports: dict[str, int] = {}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.apps = {"web": None}
        self.balancer = HAProxy(HAProxy.Settings(hang=HANG), cast(Any, self))
        self.proxy = Nginx(Nginx.Settings(), cast(Any, self))
        self.app = App({colour: self.port(f"web.{colour}.1.http") for colour in ("blue", "green")})

    @property
    def runtime(self) -> Lab:
        return self

    def service(self, identity: str) -> Service:
        return {s.id: s for s in (*self.balancer.services(), *self.proxy.services())}[identity]

    def port(self, key: str) -> int:
        while key not in self.ports:
            number = random.randint(26000, 26999)
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", number))
                if number not in self.ports.values():
                    self.ports[key] = number
        return self.ports[key]

    def resolve(self, ref: Ref, view: str = "operator") -> str:
        match ref.kind, ref.part:
            case "binary", _:
                return BINARIES[ref.name]
            case "path", part:
                return str(self.base / ref.owner / ref.name / part)
            case "instance", "path":
                volume = next(port.unix for port in self.service(ref.owner).ports if port.name == ref.name)
                return str(self.base / ref.owner / volume / f"{ref.name}.sock")
            case "instance", "":
                return f"127.0.0.1:{self.port(f'{ref.owner}.{ref.name}')}"
        raise AssertionError(ref)

    def text(self, value: Text) -> str:
        return "".join(part if isinstance(part, str) else self.resolve(part) for part in value)

    def start(self, identity: str) -> None:
        service, home = self.service(identity), self.base / identity
        for folder in (home, *(home / volume.name for volume in service.volumes)):
            folder.mkdir(exist_ok=True)
            if self.account:
                os.chown(folder, self.account.uid, self.account.gid)
        for file in service.files:
            path = home / file.volume / file.name
            if not (file.initial and path.exists()):
                path.unlink(missing_ok=True)
                path.write_text(self.text(file.body))
                path.chmod(file.mode)
        with open(home / "log", "ab") as log, open(home / "out", "ab") as out:
            if self.account:
                os.fchown(out.fileno(), self.account.uid, self.account.gid)
            words = [self.text(word) for word in service.argv]
            self.running[identity] = spawn(words, account=self.account, stdout=out, stderr=log, session=True)
        assert service.ready
        process = self.running[identity]
        assert within(10, lambda: self.answers(identity) or process.poll()), "not ready"
        assert process.poll() is None, (home / "log").read_text()

    def answers(self, identity: str) -> bool:
        service = self.service(identity)
        assert service.ready
        unix = next(port.unix for port in service.ports if port.name == service.ready.port)
        with contextlib.suppress(OSError), self.connect(identity, unix=bool(unix)) as link:
            link.sendall(f"GET {service.ready.http} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            return link.recv(1000).startswith(b"HTTP/1.1 200")
        return False

    def connect(self, identity: str, *, unix: bool) -> socket.socket:
        link = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        link.settimeout(5)
        try:
            if unix:
                link.connect(self.resolve(Ref("instance", identity, "http", "path")))
            else:
                link.connect(("127.0.0.1", self.port(f"{identity}.http")))
        except OSError:
            link.close()
            raise
        return link

    def stop(self, identity: str, number: signal.Signals | None = None) -> int:
        process = self.running.pop(identity)
        process.send_signal(number or signal.Signals[f"SIG{self.service(identity).stop_signal}"])
        try:
            return process.wait(12)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def crash(self, identity: str) -> None:
        self.stop(identity, signal.SIGKILL)
        self.start(identity)

    def end(self) -> None:
        for identity in list(self.running):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop(identity)
        self.app.end()


@contextlib.contextmanager
def lab_at(base: Path) -> Iterator[Lab]:
    base.chmod(0o755)
    account = None
    if os.geteuid() == 0:
        account = find_account("adaf") or find_account("nobody")
    made = Lab(base, account)
    try:
        made.start("balancer.1")
        made.start("proxy.1")
        yield made
    finally:
        made.end()
        shutil.rmtree(base)


@pytest.fixture(scope="module")
def shared() -> Iterator[Lab]:
    with lab_at(Path(tempfile.mkdtemp(prefix="adaf-edge-"))) as made:  # pytest's own directory is closed to the account
        yield made


@pytest.fixture
def lab(shared: Lab) -> Lab:
    """Both run, both colours are well, green is bad when it is asked to, 30 % of the visitors get it."""
    for identity in ("balancer.1", "proxy.1"):
        if identity not in shared.running:
            shared.start(identity)
    shared.app.bad, shared.app.refuse = {"green"}, ""
    shared.balancer.set_share({"blue": 70.0, "green": 30.0})
    return shared


# ----------------------------------------------------------------------------------- a client that never retries


@dataclass
class Answer:
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    complete: bool = False

    def header(self, name: str) -> str:
        return ", ".join(value for key, value in self.headers if key == name)

    @property
    def good(self) -> bool:
        return self.complete and self.status < 500


class Client:
    """One connection; made anew when the last one ended."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.writer: asyncio.StreamWriter | None = None

    async def ask(
        self, method: str, path: str, headers: dict[str, str], *, close: bool = False, patience: float = 5.0
    ) -> Answer:
        answer = Answer()
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(patience):
                if self.writer is None:
                    self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
                lines = [f"{method} {path} HTTP/1.1", "Host: visitors", *(f"{k}: {v}" for k, v in headers.items())]
                body = "x" * 10 if method == "POST" else ""
                lines += [f"Content-Length: {len(body)}"] if body else []
                lines += ["Connection: close"] if close else []
                self.writer.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
                await self._read(answer)
        if close or not answer.complete or answer.header("connection") == "close":
            self.hang_up()
        return answer

    async def _read(self, answer: Answer) -> None:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        answer.status = int(head[0].split(" ")[1])
        answer.headers = [(k.lower(), v.strip()) for k, _, v in (line.partition(":") for line in head[1:] if line)]
        if answer.header("transfer-encoding") == "chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                answer.body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readexactly(2)
        else:
            answer.body = await self.reader.readexactly(int(answer.header("content-length")))
        answer.complete = True

    def hang_up(self) -> None:
        if self.writer:
            self.writer.close()
            self.writer = None


@dataclass(frozen=True)
class Asked:
    request: str
    method: str
    visitor: str
    mode: str


async def storm(lab: Lab, work: Sequence[Asked], clients: int, patience: float) -> dict[str, Answer]:
    """All of ``work`` through the edge; by request id what the client saw."""
    queue, seen, dice = list(work), {}, random.Random(4)

    async def one() -> None:
        client = Client(lab.port("proxy.1.http"))
        while queue:
            asked = queue.pop()
            headers = {
                "X-Request-Id": asked.request,
                "Cookie": f"a=b; adaf_visitor={asked.visitor}",
                "X-Mode": asked.mode,
            }
            wait = 0.1 if asked.mode == "slow" and dice.random() < 0.5 else patience
            seen[asked.request] = await client.ask(
                asked.method, "/page?token=hidden", headers, close=dice.random() < 0.3, patience=wait
            )
        client.hang_up()

    async with asyncio.timeout(40):
        await asyncio.gather(*(one() for _ in range(clients)))
    return seen


def make_work(count: int, modes: Sequence[str], label: str) -> list[Asked]:
    dice = random.Random(label)
    return [
        Asked(f"{label}-{n:06d}", dice.choice(("GET", "POST")), f"v{dice.randrange(400)}", dice.choice(modes))
        for n in range(count)
    ]


def collect(log: RequestLog, wanted: Iterable[str], seconds: float = 8) -> dict[str, list[Served]]:
    """The log's lines by request id, once all that is wanted has come."""
    lines: dict[str, list[Served]] = {}
    missing = set(wanted)

    def complete() -> bool:
        for served in log.take():
            lines.setdefault(served.request, []).append(served)
        return missing <= lines.keys()

    within(seconds, complete)
    return lines


def ask(lab: Lab, path: str = "/", headers: dict[str, str] | None = None, method: str = "GET") -> Answer:
    return asyncio.run(Client(lab.port("proxy.1.http")).ask(method, path, headers or {}, close=True))


# --------------------------------------------------------------------------------------------- what the log sees

BROKEN = ("500", "empty", "reset", "half-headers", "junk", "cut", "cut-chunks")
RESCUED = ("empty", "reset", "half-headers")  # of a GET, by the other colour


def test_every_failure_that_a_client_saw_was_seen_by_the_log(lab: Lab) -> None:
    work = make_work(6000, ("", "", *BROKEN), "broken")
    lab.app.executed.clear()
    with lab.balancer.log() as log:
        seen = asyncio.run(storm(lab, work, clients=24, patience=5))
        lines = collect(log, seen)
        assert log.missing == 0
    assert {request: len(found) for request, found in lines.items() if len(found) != 1} == {}
    assert lines.keys() == seen.keys()
    colours = {served.visitor: served.colour for (served,) in lines.values()}
    assert 20 < sum(colour == "green" for colour in colours.values()) * 100 / len(colours) < 40
    figures: Counter[str] = Counter()
    for asked in work:
        answer, (served,) = seen[asked.request], lines[asked.request]
        assert (served.method, served.visitor) == (asked.method, asked.visitor)
        assert served.colour == colours[asked.visitor]
        bad = served.colour == "green" and asked.mode != ""
        assert served.failed == bad, (asked, answer, served)
        if not answer.good:
            figures["failures seen by clients"] += 1
            assert served.failed, (asked, answer, served)
            assert served.colour == "green"
        if bad and asked.method == "GET" and asked.mode in RESCUED:
            figures["GETs rescued"] += 1
            assert answer.good, (asked, answer, served)
            assert (served.server, answer.header("x-release-id")) == ("blue1", "r-blue")
            assert served.retries >= 1
        elif bad:
            assert not answer.good, (asked, answer, served)
    print(f"\n{len(work)} requests, {dict(figures)}, all in the log for green")
    assert figures["failures seen by clients"] > 500
    assert figures["GETs rescued"] > 100
    posts = [asked.request for asked in work if asked.method == "POST"]
    assert {lab.app.executed[request] for request in posts} == {1}


def test_a_hang_is_a_failure_and_a_visitor_who_just_left_is_none(lab: Lab) -> None:
    work = make_work(500, ("hang", "slow", "slow", ""), "hang")
    with lab.balancer.log() as log:
        seen = asyncio.run(storm(lab, work, clients=80, patience=HANG * 2))
        lines = collect(log, (a.request for a in work if a.mode != "slow" or seen[a.request].complete))
    left = 0
    for asked in work:
        if asked.request not in lines:  # left before nginx had passed it on
            assert asked.mode == "slow", asked
            continue
        (served,) = lines[asked.request]
        assert served.failed == (served.colour == "green" and asked.mode == "hang"), (asked, served)
        if served.failed:
            assert served.seconds >= HANG
            assert not seen[asked.request].complete
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
            assert served.server == "blue1"
    assert max(lab.app.executed.values()) == 1


def test_haproxy_killed_under_load_comes_back_with_its_share(lab: Lab) -> None:
    lab.balancer.set_share({"blue": 58.0, "green": 42.0})
    with lab.balancer.log() as log:
        killer = threading.Timer(0.4, lab.crash, ["balancer.1"])
        killer.start()
        seen = asyncio.run(storm(lab, make_work(4000, ("",), "crash"), clients=12, patience=5))
        killer.join()
        assert lab.balancer.live_share() == lab.balancer.share() == {"blue": 58.0, "green": 42.0}
        assert within(5, lambda: log.missing >= 1)
        away = Counter(answer.status for answer in seen.values())
        assert away[200] > 1000
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


@pytest.fixture
def unreleased() -> Iterator[Lab]:
    """An edge before the first release."""
    with lab_at(Path(tempfile.mkdtemp(prefix="adaf-edge-"))) as made:
        yield made


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
        count = 50_000  # more than the ring holds
        seconds = flood(unreleased, count, "stuck")
        assert count / seconds > 3000
        assert within(3, lambda: log.missing > 0), "the ring is blocked, and nobody was told"
        arrived = len(collect(log, ["never"], seconds=2))
        missing = log.missing
        stuck.close()
        flood(unreleased, 10, "after")
        assert set(collect(log, [f"after-{n:06d}" for n in range(10)])) >= {f"after-{n:06d}" for n in range(10)}
        assert arrived + missing == count
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


# ----------------------------------------------------------------------------------------------------- visitors


def test_a_first_visit_gets_an_id_and_is_placed_by_it(lab: Lab) -> None:
    lab.app.bad = set()
    lab.balancer.set_share({"blue": 50.0, "green": 50.0})
    colours = set()
    for _ in range(30):
        first = ask(lab)
        cookie = first.header("set-cookie")
        assert re.fullmatch(r"adaf_visitor=[0-9a-f-]{36}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax", cookie), (
            cookie
        )
        again = ask(lab, headers={"Cookie": cookie.partition(";")[0]})
        assert again.header("set-cookie") == ""
        assert again.header("x-release-id") == first.header("x-release-id")
        colours.add(first.header("x-release-id"))
    assert colours == {"r-blue", "r-green"}


@pytest.mark.parametrize(
    "cookie",
    ["adaf_visitor=", 'adaf_visitor="quoted"', f"adaf_visitor={'x' * 5000}", "adaf_visitor=ä\x01%00", ";;==;", "=; a"],
)
def test_a_garbage_cookie_is_replaced(lab: Lab, cookie: str) -> None:
    with lab.balancer.log() as log:
        answer = ask(lab, headers={"Cookie": cookie, "X-Request-Id": "garbage-1"})
        if answer.status == 400:  # nginx refuses control characters in headers from some version on
            return
        (served,) = collect(log, ["garbage-1"])["garbage-1"]
        assert log.missing == 0
    assert answer.status == 200
    assert answer.header("set-cookie").startswith(f"adaf_visitor={served.visitor};")
    assert re.fullmatch("[0-9a-f-]{36}", served.visitor)


def test_request_ids_reach_everybody_and_only_sane_ones(lab: Lab) -> None:
    for given, kept in (
        ("abc-DEF_123", True),
        ("short", False),
        ("x" * 65, False),
        ("with space in", False),
        ("", False),
    ):
        answer = ask(lab, "/headers", {"X-Request-Id": given} if given else {})
        told = json.loads(answer.body)
        assert (answer.header("x-request-id") == given) is kept
        assert re.fullmatch("[A-Za-z0-9_-]{8,64}", answer.header("x-request-id"))
        assert told["x-request-id"] == answer.header("x-request-id").lower()


def test_what_a_visitor_claims_is_not_passed_on_and_no_version_leaks(lab: Lab) -> None:
    claims = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Proto": "https",
        "Forwarded": "for=6.6.6.6",
        "X-Real-IP": "6.6.6.6",
    }
    answer = ask(lab, "/headers", claims)
    told = json.loads(answer.body)
    assert told["x-forwarded-for"] == told["x-real-ip"] == "127.0.0.1"
    assert (told["x-forwarded-proto"], told["host"]) == ("http", "visitors")
    assert "forwarded" not in told
    assert (answer.header("server"), answer.header("x-powered-by")) == ("nginx", "")


def test_before_the_first_release_it_says_so(unreleased: Lab) -> None:
    with unreleased.balancer.log() as log:
        answer = ask(unreleased, headers={"X-Request-Id": "no-release"})
        (served,) = collect(log, ["no-release"])["no-release"]
    assert answer.status == 503
    assert b"No release yet" in answer.body
    assert answer.header("retry-after") == "5"
    assert (served.colour, served.server, served.failed) == ("", "", True)
    assert unreleased.balancer.share() == unreleased.balancer.live_share() == {}


def test_without_the_balancer_the_edge_says_so_with_the_request_id(lab: Lab) -> None:
    lab.stop("balancer.1")
    answer = ask(lab, headers={"X-Request-Id": "nobody-home"})
    assert answer.status == 502
    assert b"nobody-home" in answer.body
    assert answer.header("x-request-id") == "nobody-home"
    assert answer.header("content-type").startswith("text/html")
    lab.start("balancer.1")
    assert ask(lab).status == 200


def test_streams_arrive_as_they_are_written(lab: Lab) -> None:
    with lab.connect("proxy.1", unix=False) as link:
        begun = time.monotonic()
        link.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        data = b""
        while b"first" not in data:
            data += link.recv(65536)
        assert time.monotonic() - begun < 0.4
        while b"0\r\n\r\n" not in data:
            data += link.recv(65536)
        assert b"last" in data


def test_websockets_pass(lab: Lab) -> None:
    key = base64.b64encode(hashlib.sha256(b"edge").digest()[:16])
    with lab.connect("proxy.1", unix=False) as link:
        link.sendall(
            b"GET /socket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n"
        )
        data = b""
        while not data.endswith(b"echo"):
            data += link.recv(65536)
        assert data.startswith(b"HTTP/1.1 101 ")


def test_the_access_log_is_json_without_queries(lab: Lab) -> None:
    ask(lab, "/page?token=very-hidden", {"X-Request-Id": "too-long-1", "User-Agent": "long" * 5000})
    ask(lab, "/page?token=very-hidden", {"X-Request-Id": "logged-1", "User-Agent": 'a "quoted" ' + "long" * 100})
    out = lab.base / "proxy.1" / "out"
    assert within(5, lambda: "logged-1" in out.read_text())
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    (line,) = [line for line in lines if line["request"] == "logged-1"]
    assert (line["method"], line["path"], line["status"], line["release"]) == ("GET", "/page", 200, line["release"])
    assert line["release"] in {"r-blue", "r-green"}
    assert line["agent"].startswith('a "quoted" longlong')
    assert "hidden" not in out.read_text()
    assert max(len(text) for text in out.read_text().splitlines()) < 4096


def test_metrics_are_served(lab: Lab) -> None:
    with socket.create_connection(("127.0.0.1", lab.port("balancer.1.stats")), 5) as link:
        link.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert b"haproxy_server_current_sessions" in b"".join(iter(lambda: link.recv(1 << 20), b""))


def test_nothing_stays_behind_when_haproxy_is_killed(lab: Lab) -> None:
    process = lab.running["balancer.1"]
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    assert children == ""
    lab.crash("balancer.1")


# ------------------------------------------------------------------------------------------------- the contract


class TestHAProxy(BalancerContract):
    @pytest.fixture
    def balancer(self, unreleased: Lab) -> Balancer:
        return unreleased.balancer

    def send(self, balancer: Balancer, visitors: Sequence[str]) -> list[str]:
        found: list[str] = []
        with cast(Lab, balancer.stack).connect("balancer.1", unix=True) as link:
            for first in range(0, len(visitors), 50):
                some = visitors[first : first + 50]
                link.sendall(
                    b"".join(
                        b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1\r\nCookie: adaf_visitor=%s\r\n\r\n"
                        % v.encode()
                        for v in some
                    )
                )
                data = b""
                while len(re.findall(rb"hello|</html>", data)) < len(some):
                    data += link.recv(1 << 20)
                found += [name.decode() for name in re.findall(rb"x-release-id: r-(\w+)|503 Service", data)]
        return found

    def restart(self, balancer: Balancer) -> None:
        cast(Lab, balancer.stack).crash("balancer.1")
