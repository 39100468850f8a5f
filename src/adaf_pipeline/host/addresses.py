"""Ports: a block per stack below 32768, chosen once, written down, and the same after every restart."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from adaf_pipeline.errors import PreconditionError

FIRST, LAST, BLOCK = 20000, 32000, 40
HOST = "127.0.0.1"


class Addresses:
    """``owner.port`` to a TCP port number. ``root``: the folder that all stacks of this user share."""

    def __init__(self, root: Path, state: Path) -> None:
        self.root = root
        self.file = state / "ports.json"
        self._known: dict[str, int] | None = None

    def known(self) -> Mapping[str, int]:
        if self._known is None:
            try:
                self._known = dict(json.loads(self.file.read_text()))
            except FileNotFoundError:
                self._known = {}
        return self._known

    def port(self, owner: str, name: str) -> int:
        """The port of ``owner``'s ``name``, allocated at first use."""
        key = f"{owner}.{name}"
        if key not in self.known():
            self._allocate(key)
        return self.known()[key]

    def _allocate(self, key: str) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self._alone():
            self._known = None  # another process may have been here
            known = dict(self.known())
            if key not in known:
                start = self._block()
                for number in range(start, start + BLOCK):
                    if number not in known.values() and free(number):
                        known[key] = number
                        break
                else:
                    raise PreconditionError(
                        f"no free port in {start}-{start + BLOCK - 1} for {key}",
                        "`inv down --purge` frees this stack's",
                    )
                temporary = self.file.with_suffix(".new")
                temporary.write_text(json.dumps(known, indent=1, sort_keys=True))
                temporary.replace(self.file)
            self._known = known

    def _block(self) -> int:
        """The stack's first port: chosen by the hash of its place, moved on when another stack has that block."""
        folder = self.root / "blocks"
        folder.mkdir(parents=True, exist_ok=True)
        me = str(self.file.parent)
        blocks = (LAST - FIRST) // BLOCK
        first = int(hashlib.sha256(me.encode()).hexdigest(), 16) % blocks
        for step in range(blocks):
            number = (first + step) % blocks
            claim = folder / str(number)
            owner = claim.read_text() if claim.exists() else ""
            if owner and owner != me and not Path(owner).exists():
                owner = ""  # that stack was purged
            if not owner:
                if not all(free(FIRST + number * BLOCK + port) for port in range(BLOCK)):
                    continue  # somebody works there: another user's stack has its own book of blocks
                claim.write_text(me)
                owner = me
            if owner == me:
                return FIRST + number * BLOCK
        raise PreconditionError("every block of ports is taken by a stack", f"purge one of those in {self.root}")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.root / "ports.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def free(number: int) -> bool:
    """Whether nobody listens there (old connections in TIME_WAIT do not count)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, number))
        except OSError:
            return False
    return True


def reserved(number: int) -> bool:
    """Whether only root may listen there: services never run as root."""
    with contextlib.suppress(OSError):
        return number < int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    return number < 1024


def holder(number: int) -> str:
    """Who listens on a port, as far as this user may see: ``nginx (pid 12)``, or "another process"."""
    inodes = {inode for inode, port in _listening().items() if port == number}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if _sockets(process) & inodes:
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return "another process"


def ports_of_session(leader: int) -> list[int]:
    """TCP ports that a session's processes listen on, as far as this user may see."""
    listening, found = _listening(), set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if int((process / "stat").read_text().rpartition(")")[2].split()[3]) == leader:
                found |= {listening[inode] for inode in _sockets(process) & listening.keys()}
    return sorted(found)


def _listening() -> dict[str, int]:
    """Port by socket (``socket:[INODE]``), of proc(5)'s net/tcp."""
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table) as rows:
            for cells in (row.split() for row in list(rows)[1:]):
                if cells[3] == "0A":
                    found[f"socket:[{cells[9]}]"] = int(cells[1].rpartition(":")[2], 16)
    return found


def _sockets(process: Path) -> set[str]:
    return {str(handle.readlink()) for handle in (process / "fd").iterdir()}
