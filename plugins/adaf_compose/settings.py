"""The section ``runtime:`` of adaf.yaml, of ``use: compose``."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

Memory = Annotated[int, Meta(ge=16, le=1 << 20)]
Cpus = Annotated[float, Meta(ge=0.05, le=1024)]
Pids = Annotated[int, Meta(ge=8, le=1 << 20)]


class Most(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``limits: {database: {memory_mb: 2048}}``: what one service, or all of a role, may take at most."""

    memory_mb: Annotated[Memory | None, Meta(description="of all its processes; also its share of swap")] = None
    cpus: Annotated[Cpus | None, Meta(description="1.5 = the time of one and a half cores")] = None
    pids: Annotated[Pids | None, Meta(description="processes and threads")] = None


class Waiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``waivers: [{rule: H07, service: web, reason: ..., until: 2030-01-31}]``: a rule that may be broken for a while."""

    rule: Annotated[str, Meta(pattern="^H[0-9]{2}$(?!\\n)", description="which rule of the hardening rules")]
    service: Annotated[str, Meta(description="id or role; empty = the whole stack")] = ""
    reason: Annotated[str, Meta(pattern=r"\S", description="why it may be broken")]
    until: Annotated[datetime.date, Meta(description="the last day on which it counts")]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``runtime: {use: compose, ...}``. What a Service says of itself wins over the defaults here, ``limits`` over both."""

    address: Annotated[str, Meta(min_length=1, description="of this host, where the public port is")] = "127.0.0.1"
    images: Annotated[str, Meta(description="folder of Dockerfiles instead of the ones that come with the plugin")] = ""
    bases: Annotated[
        Mapping[str, str], Meta(description="build arguments, BASE_IMAGE for example, and the images they name")
    ] = {}
    memory_mb: Annotated[Memory, Meta(description="of a service that does not say, and of its share of swap")] = 512
    cpus: Annotated[Cpus, Meta(description="of a service that does not say; 1 = the time of one core")] = 1.0
    pids: Annotated[Pids, Meta(description="processes and threads of a service that does not say")] = 256
    scratch_mb: Annotated[
        int, Meta(ge=1, le=1 << 20, description="largest size of each volume in memory; it counts as the service's")
    ] = 64
    limits: Annotated[Mapping[str, Most], Meta(description="by service id or role; the id wins")] = {}
    egress: Annotated[
        tuple[str, ...], Meta(description="service ids and roles that may talk to addresses outside the stack")
    ] = ()
    waivers: Annotated[tuple[Waiver, ...], Meta(description="rules that may be broken, why and until when")] = ()

    def __post_init__(self) -> None:
        try:
            ipaddress.ip_address(self.address)
        except ValueError as exc:
            raise ValueError(f"address: {self.address} is no IP address of this host, for example 127.0.0.1") from exc
