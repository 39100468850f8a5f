"""Looks whether a service answers: HTTP over TCP or a unix socket, or a TCP connect."""

from __future__ import annotations

import http.client
import socket

from adaf_pipeline.service import Probe


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def probe(check: Probe, address: str) -> str:
    """ "" when the service answers, else why not. ``address``: ``host:port`` or a socket's path."""
    unix = address.startswith("/")
    host, _, port = address.rpartition(":")
    try:
        if not check.http:
            if unix:
                with socket.socket(socket.AF_UNIX) as link:
                    link.settimeout(check.timeout)
                    link.connect(address)
            else:
                socket.create_connection((host, int(port)), check.timeout).close()
            return ""
        connection: http.client.HTTPConnection = (
            _UnixConnection(address, check.timeout)
            if unix
            else http.client.HTTPConnection(host, int(port), timeout=check.timeout)
        )
        try:
            connection.request("GET", check.http, headers={"Host": check.host, "User-Agent": "adaf-probe"})
            answer = connection.getresponse()
            body = answer.read(300).decode(errors="replace").strip()
        finally:
            connection.close()
    except TimeoutError:
        return f"no answer within {check.timeout:g} s"
    except ConnectionRefusedError:
        return "connection refused"
    except (OSError, http.client.HTTPException) as exc:
        return f"{type(exc).__name__}: {exc}".rstrip(": ")
    if 200 <= answer.status < 300:
        return ""
    said = f": {body.splitlines()[0][:120]}" if body else ""
    return f"HTTP {answer.status}{said}"
