"""HAProxy where a process that is started again has another address: a name server that says so, and the real one."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from driving import until

from adaf_haproxy import location
from adaf_haproxy.configuration import service
from adaf_haproxy.control import Control
from adaf_haproxy.settings import Settings
from adaf_pipeline.errors import ServiceError
from adaf_pipeline.service import Ref, Text

pytestmark = pytest.mark.skipif(not shutil.which("haproxy"), reason="needs haproxy")
BOTH = ("web.blue.1", "web.green.1")


class Names:
    """Answers for IPv4 addresses from ``known``; any other name is nobody's."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                query, client = self.socket.recvfrom(4096)
            except OSError:
                return
            self.socket.sendto(self.answer(query), client)

    def answer(self, query: bytes) -> bytes:
        labels, at = [], 12
        while size := query[at]:
            labels.append(query[at + 1 : at + 1 + size].decode())
            at += 1 + size
        question, address = query[12 : at + 5], self.known.get(".".join(labels))
        head = query[:2] + struct.pack(">5H", 0x8180 if address else 0x8183, 1, int(address is not None), 0, 0)
        record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + socket.inet_aton(address) if address else b""
        return head + question + record


@pytest.fixture
def names() -> Iterator[Names]:
    made = Names()
    yield made
    made.socket.close()


@pytest.fixture
def control(tmp_path: Path, names: Names) -> Iterator[Control]:
    """Of a running haproxy that knows nobody's address yet."""

    def text(value: Text) -> str:
        return "".join(part if isinstance(part, str) else place(part) for part in value)

    def place(ref: Ref) -> str:
        if ref.kind == "binary":
            return ref.name
        if ref.kind == "path":
            return str(tmp_path / (ref.part or ref.name))
        if ref.part == "path":
            return str(tmp_path / f"{ref.name}.sock")
        return f"{ref.owner.replace('.', '-')}:8080"

    made = service(Settings(metrics=False), "web", 1, names.address)
    for file in made.files:
        (tmp_path / file.name).write_text(text(file.body))
    with subprocess.Popen([text(word) for word in made.argv]) as process:
        try:
            until(lambda: (tmp_path / "admin.sock").exists(), what="haproxy to run")
            yield Control(str(tmp_path / "admin.sock"))
        finally:
            process.terminate()


def test_a_process_is_found_again_under_its_name_wherever_it_is(control: Control, names: Names) -> None:
    """Never there, there, gone, back at another address, and two that change places."""
    with pytest.raises(ServiceError, match=r"does not find web\.blue\.1"):
        location.wait(control, {"web.blue.1": "127.0.0.2"}, within=0.5)
    names.known = {"web-blue-1": "127.0.0.2", "web-green-1": "127.0.0.3"}
    location.wait(control, dict(zip(BOTH, ("127.0.0.2", "127.0.0.3"), strict=True)))
    del names.known["web-blue-1"]
    until(lambda: control.servers()["blue-1"][1] & location.NAMELESS, what="blue to have no address")
    names.known = {"web-blue-1": "127.0.0.4", "web-green-1": "127.0.0.3"}
    location.wait(control, dict(zip(BOTH, ("127.0.0.4", "127.0.0.3"), strict=True)))
    names.known = {"web-blue-1": "127.0.0.3", "web-green-1": "127.0.0.4"}
    location.wait(control, dict(zip(BOTH, ("127.0.0.3", "127.0.0.4"), strict=True)))
