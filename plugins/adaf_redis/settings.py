"""The section ``cache:`` of adaf.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Policy = Literal[
    "noeviction",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
]


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``cache: {use: redis, ...}``."""

    memory_mb: Annotated[
        int, Meta(ge=16, le=1 << 20, description="data kept at most; the process needs somewhat more")
    ] = 128
    policy: Annotated[Policy, Meta(description="what goes when it is full; noeviction refuses writes instead")] = (
        "allkeys-lru"
    )
    port: Annotated[int, Meta(ge=0, le=65535, description="0 = the runtime chooses and remembers")] = 0
