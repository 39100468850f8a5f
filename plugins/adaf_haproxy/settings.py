"""The settings of the balancer `haproxy`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Seconds = Annotated[float, Meta(ge=0.1, le=86400)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Timeouts are in seconds."""

    cookie: Annotated[
        str,
        Meta(pattern="^[A-Za-z][A-Za-z0-9_-]{0,63}$(?!\\n)", description="name of the cookie with the visitor's id"),
    ] = "adaf_visitor"
    cookie_days: Annotated[int, Meta(ge=1, le=400, description="how long a browser keeps it")] = 365
    connect: Annotated[Seconds, Meta(description="how long an application may take to accept a connection")] = 1.0
    server: Annotated[Seconds, Meta(description="how long an application may be silent")] = 30.0
    client: Annotated[Seconds, Meta(description="how long a visitor may be silent")] = 30.0
    tunnel: Annotated[Seconds, Meta(description="how long a WebSocket may be silent")] = 3600.0
    hang: Annotated[
        Seconds, Meta(description="a visitor who leaves after waiting so long for an answer is a failure of the colour")
    ] = 4.0
    threads: Annotated[int, Meta(ge=1, le=64, description="threads of the process")] = 2
    maxconn: Annotated[int, Meta(ge=100, le=100_000, description="requests in flight; more than the proxy lets in")] = (
        4096
    )
    log_mb: Annotated[
        int, Meta(ge=1, le=256, description="memory for lines of the request log nobody has read yet")
    ] = 4
    metrics: Annotated[bool, Meta(description="serve Prometheus metrics, on a port of their own")] = True
