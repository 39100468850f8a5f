"""The settings of the proxy `nginx`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The edge."""

    port: Annotated[int, Meta(ge=0, le=65535, description="what visitors connect to; 0: the runtime chooses one")] = 0
    workers: Annotated[int, Meta(ge=1, le=64, description="worker processes")] = 2
    connections: Annotated[int, Meta(ge=64, le=65536, description="connections of one worker, two per request")] = 4000
    body_mb: Annotated[int, Meta(ge=1, le=10240, description="largest request body, in MB")] = 10
    read_timeout: Annotated[
        int,
        Meta(
            ge=5,
            le=86400,
            description="seconds the balancer may be silent, WebSockets included; above the balancer's own timeouts",
        ),
    ] = 75
    drain: Annotated[int, Meta(ge=1, le=600, description="seconds a stop waits for what is in flight")] = 8
