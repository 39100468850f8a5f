"""One connection of the load client, and a strict reader: an answer whose end is not told by its headers is broken."""

from __future__ import annotations

import asyncio
import functools
import re
import socket
from collections.abc import Awaitable, Callable

from adaf_pipeline.workflows.probe import still_open

STATUS = re.compile(rb"HTTP/1\.1 (\d{3})(?: [^\r\n]*)?\Z")
HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*\Z")
CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})(?:;[^\r\n]*)?\Z")
HEAD = 64 * 1024  # bytes

More = Callable[[], Awaitable[bytes]]  # the next bytes of a connection, b"" at its end


class BrokenAnswerError(Exception):
    """No, or no whole, answer: ``closed`` before a byte, ``truncated``, or what is wrong with it."""


class Wire:
    """A connection that is made when it is needed."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address, self._sock = address, socket.socket()
        self._sock.close()

    def reusable(self) -> bool:
        """Whether there is one that has served and still can; one that cannot is closed."""
        if self._sock.fileno() >= 0 and not still_open(self._sock):
            self._sock.close()
        return self._sock.fileno() >= 0

    async def ask(self, words: bytes) -> tuple[int, dict[bytes, bytes]]:
        """Send, and read one answer."""
        loop = asyncio.get_running_loop()
        if self._sock.fileno() < 0:
            self._sock = socket.socket()
            self._sock.setblocking(False)
            await loop.sock_connect(self._sock, self._address)
        await loop.sock_sendall(self._sock, words)
        await asyncio.sleep(0)  # a fast server has answered by now: without this one connection would do all the work
        return await read_answer(functools.partial(loop.sock_recv, self._sock, 65536))

    def close(self) -> None:
        self._sock.close()


async def read_answer(more: More) -> tuple[int, dict[bytes, bytes]]:
    """Status and headers (names in lower case) of one whole answer; BrokenAnswerError."""
    reader, status = Reader(more), 0
    while status < 200:  # 1xx come before the answer
        lines = (await reader.until(b"\r\n\r\n")).split(b"\r\n")
        found = STATUS.match(lines[0])
        if not found or (status := int(found[1])) == 101:
            raise BrokenAnswerError(f"status line {lines[0][:40]!r}")
    headers: dict[bytes, bytes] = {}
    for line in lines[1:]:
        pair = HEADER.match(line)
        if not pair or (pair[1].lower() in headers and pair[1].lower() == b"content-length"):
            raise BrokenAnswerError(f"header {line[:40]!r}")
        headers[pair[1].lower()] = pair[2]
    length, coding = headers.get(b"content-length"), headers.get(b"transfer-encoding")
    if status in (204, 304):
        pass
    elif length is not None and length.isdigit() and coding is None:
        await reader.skip(int(length))
    elif length is None and coding is not None and coding.lower() == b"chunked":
        await _skip_chunks(reader)
    else:
        raise BrokenAnswerError(f"no clear end: content-length {length!r}, transfer-encoding {coding!r}")
    if reader.data:
        raise BrokenAnswerError(f"{len(reader.data)} bytes beyond the answer")
    return status, headers


async def _skip_chunks(reader: Reader) -> None:
    while True:
        found = CHUNK.match(await reader.until(b"\r\n"))
        if not found:
            raise BrokenAnswerError("chunk size")
        if not (size := int(found[1], 16)):
            break
        await reader.skip(size)
        if await reader.until(b"\r\n"):
            raise BrokenAnswerError("chunk longer than its size")
    while line := await reader.until(b"\r\n"):
        if not HEADER.match(line):
            raise BrokenAnswerError("trailer")


class Reader:
    """Bytes of one answer as they come."""

    def __init__(self, more: More) -> None:
        self._more, self.data, self._heard = more, b"", False

    async def until(self, mark: bytes) -> bytes:
        """What comes before ``mark``, which is dropped."""
        while (end := self.data.find(mark)) < 0:
            if len(self.data) > HEAD:
                raise BrokenAnswerError("headers without an end")
            self.data += await self._fetch()
        found, self.data = self.data[:end], self.data[end + len(mark) :]
        return found

    async def skip(self, count: int) -> None:
        """Read and forget."""
        while len(self.data) < count:
            count -= len(self.data)
            self.data = await self._fetch()
        self.data = self.data[count:]

    async def _fetch(self) -> bytes:
        new = await self._more()
        if not new:
            raise BrokenAnswerError("truncated" if self._heard else "closed")
        self._heard = True
        return new
