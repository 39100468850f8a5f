"""The settings of the proxy `nginx`."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Rate = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,5}/(s|min)$(?!\n)")]
Burst = Annotated[int, Meta(ge=0, le=100_000)]
Prefix = Annotated[str, Meta(pattern=r"^/[A-Za-z0-9/_.~-]*$(?!\n)")]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9-]*$(?!\n)")]
# printable, and nothing that ends a quoted word of nginx or starts a variable of it
Value = Annotated[str, Meta(pattern=r'^[^"\\$\x00-\x1f\x7f-\U0010ffff]*$(?!\n)', max_length=2000)]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``limits: {pages: 20/s}``: what one address may ask for; an IPv6 visitor counts as its /64."""

    mode: Annotated[
        Literal["enforce", "dry-run", "none"],
        Meta(description="`dry-run` only writes into the access log what would have been refused"),
    ] = "enforce"
    pages: Annotated[Rate, Meta(description="requests of everything that is none of the below, `20/s` or `90/min`")] = (
        "20/s"
    )
    pages_burst: Annotated[Burst, Meta(description="so many more at once")] = 40
    api: Annotated[Rate, Meta(description="requests below `/api`")] = "10/s"
    api_burst: Annotated[Burst, Meta(description="so many more at once")] = 20
    auth: Annotated[
        Rate, Meta(description="requests that may change something (not GET, HEAD), below `auth_paths`")
    ] = "5/min"
    auth_burst: Annotated[Burst, Meta(description="so many more at once")] = 5
    auth_paths: Annotated[tuple[Prefix, ...], Meta(description="where passwords are tried")] = (
        "/api/auth",
        "/api/login",
        "/login",
    )
    connections: Annotated[
        int, Meta(ge=1, le=65536, description="requests of one address that are being answered at once")
    ] = 100


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
    patience: Annotated[
        int,
        Meta(ge=1, le=600, description="seconds for a request's headers, and between two pieces of its body"),
    ] = 10
    trusted: Annotated[
        tuple[str, ...],
        Meta(
            description="addresses or networks of the proxies in front, whose X-Forwarded-For and -Proto are believed"
        ),
    ] = ()
    headers: Annotated[
        Mapping[Name, Value],
        Meta(description="security headers that are to be others where the application is silent; empty: none"),
    ] = {}
    limits: Annotated[Limits, Meta(description="what one address may ask for")] = Limits()

    def __post_init__(self) -> None:
        for network in self.trusted:
            try:
                ipaddress.ip_network(network)
            except ValueError as exc:
                raise ValueError(
                    f"trusted: {network} is no address or network, for example 10.0.0.5 or 10.0.0.0/24"
                ) from exc
