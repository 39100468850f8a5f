"""The section ``database:`` of adaf.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

_TAKEN = ("postgres", "template0", "template1")


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``database: {use: postgres, ...}``. Times are in seconds."""

    version: Annotated[
        Literal[0, 15, 16, 17], Meta(description="major version; 0 = the newest one installed (15, 16 or 17)")
    ] = 0
    database: Annotated[
        str, Meta(pattern="^[a-z_][a-z0-9_]{0,62}$(?!\\n)", description="name of the application's database")
    ] = "app"
    port: Annotated[int, Meta(ge=0, le=65535, description="0 = the runtime chooses and remembers")] = 0
    memory_mb: Annotated[
        int, Meta(ge=0, le=1 << 20, description="what the server may take; 0 = an eighth of the machine, up to 1024")
    ] = 0
    max_connections: Annotated[int, Meta(ge=10, le=1000, description="sessions at once")] = 100
    lock_timeout: Annotated[
        float, Meta(gt=0, le=600, description="how long a migration may wait for a lock while others queue behind it")
    ] = 3.0
    statement_timeout: Annotated[float, Meta(gt=0, le=86400, description="limit of one query of the pipeline's")] = 30.0
    migration_wait: Annotated[float, Meta(ge=0, le=3600, description="how long to wait for another migration run")] = (
        60.0
    )
    start_timeout: Annotated[
        float, Meta(gt=0, le=3600, description="how long to wait until queries work (crash recovery included)")
    ] = 30.0

    def __post_init__(self) -> None:
        if self.database in _TAKEN:
            raise ValueError(f"database: {self.database} is the server's own database, choose another name")
        if 0 < self.memory_mb < 64:
            raise ValueError("memory_mb: at least 64, or 0")
