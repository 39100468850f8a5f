"""The way in for tests: nginx and haproxy for real, before an application that fails on demand, and who asks them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from edge_app import App

from adaf_haproxy.backend import HAProxy
from adaf_nginx.backend import Nginx
from adaf_nginx.configuration import PROBE_SECRET
from adaf_nginx.settings import Limits, Settings
from adaf_pipeline.process import Account, find_account, spawn
from adaf_pipeline.roles import RequestLog, Served
from adaf_pipeline.service import Probe, Ref, Service, Text
from adaf_pipeline.testing.balancer import within

needed = pytest.mark.skipif(
    shutil.which("haproxy") is None or shutil.which("nginx") is None, reason="needs the packages of ci/packages"
)
HANG = 0.4  # seconds; the visitors of these tests wait a little longer before they give up
SECRET, READY, LIVE = "of-the-probes", "/api/health/ready", "/api/health/live"
SERVER = 1.5  # seconds an application may be silent
# EDGE_HAPROXY and EDGE_NGINX: other versions than the installed ones
BINARIES = {name: os.environ.get(f"EDGE_{name.upper()}") or shutil.which(name) or name for name in ("haproxy", "nginx")}


class Lab:
    """Renders Services and runs them, knows where everything is."""

    name = "edge"
    names = ""

    def __init__(self, base: Path, account: Account | None, proxy: Settings | None = None) -> None:
        self.checkout = self.state = self.base = base
        self.account = account
        self.ports: dict[str, int] = {}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        described = SimpleNamespace(ready=Probe("http", http=READY), labels={"live": LIVE})
        self.apps = {"web": SimpleNamespace(name="web", replicas=1, service=lambda *_: described)}
        self.secrets = SimpleNamespace(names=lambda: {PROBE_SECRET: 1}, value=lambda name: SECRET)
        self.balancer = HAProxy(HAProxy.Settings(hang=HANG, server=SERVER), cast(Any, self))
        # unless told otherwise without limits: all visitors of these tests have one address
        self.proxy = Nginx(proxy or Nginx.Settings(limits=Limits(mode="none")), cast(Any, self))
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
            case "secret", _:
                return str(self.base / ref.name)
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
        for use in service.secrets:
            path = self.base / use.name
            path.write_text(SECRET)
            path.chmod(0o444)
        if service.gate:
            gate = spawn([self.text(word) for word in service.gate], account=self.account, stdout=None, stderr=None)
            assert gate.wait(10) == 0, "the gate refuses"
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

    def well(self) -> Lab:
        """Both run, both colours are well, green is bad when it is asked to, 30 % of the visitors get it."""
        for identity in ("balancer.1", "proxy.1"):
            if identity not in self.running:
                self.start(identity)
        self.app.bad, self.app.refuse = {"green"}, ""
        self.balancer.set_share({"blue": 70.0, "green": 30.0})
        return self

    def end(self) -> None:
        for identity in list(self.running):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop(identity)
        self.app.end()


def running(proxy: Settings | None = None) -> Iterator[Lab]:
    """An edge before its first release."""
    base = Path(tempfile.mkdtemp(prefix="adaf-edge-"))  # pytest's own directory is closed to the account
    base.chmod(0o755)
    made = Lab(base, (find_account("adaf") or find_account("nobody")) if os.geteuid() == 0 else None, proxy)
    try:
        made.start("balancer.1")
        made.start("proxy.1")
        yield made
    finally:
        made.end()
        shutil.rmtree(base)


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
