"""An application in two colours that fails in every way when it is told to."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Coroutine
from typing import Any, cast


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
                elif path == b"/say":  # a header of the test's choice
                    name, _, value = headers[b"x-say"].decode().partition("|")
                    self.say(f"HTTP/1.1 200 OK\r\n{tag}{name}: {value}\r\nContent-Length: 5\r\n\r\nhello")
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
