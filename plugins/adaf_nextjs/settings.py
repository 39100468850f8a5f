"""``apps: {NAME: {use: nextjs, ...}}``."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

import msgspec

from adaf_nextjs.buildenv import BuildVariables
from adaf_pipeline.config import Environment, MaybeUrlPath, UrlPath
from adaf_pipeline.errors import ConfigError
from adaf_pipeline.roles import Deliveries, variables

SERVER = "server.js"  # what Next generates
RESERVED = ("PORT", "HOSTNAME", "NODE_ENV", "ADAF_RELEASE", "ADAF_COLOUR")  # at run time
BUILD_RESERVED = ("PATH", "HOME", "CI", "NODE_ENV", "ADAF_BUILD_ID")

Path_ = Annotated[str, msgspec.Meta(min_length=1)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is built, and how it runs."""

    entry: Path_ = SERVER  # what node starts: Next's own server.js, or a file of yours that wraps it
    include: tuple[Path_, ...] = ()  # more files and folders that belong beside server.js
    migrations: Path_ = "migrations"  # folder of *.sql, applied in the order of their names
    build_environment: Environment = {}  # NEXT_PUBLIC_* and the like; no secrets: it is part of the release
    build_variables: Annotated[BuildVariables, msgspec.Meta(description="what a build has to be given")] = {}
    environment: Environment = {}  # of the running process; no secrets
    secrets: Annotated[Deliveries, msgspec.Meta(description="variables that hold a secret")] = {}
    ready: UrlPath = "/api/health/ready"
    live: UrlPath = "/api/health/live"
    metrics: MaybeUrlPath = "/metrics"  # "" = it has none
    ready_timeout: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 60
    stop_grace: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 20  # s from SIGTERM to SIGKILL
    memory_mb: Annotated[int, msgspec.Meta(ge=0, le=1 << 20)] = 512  # 0 = no limit
    build_timeout: Annotated[float, msgspec.Meta(gt=0, le=86400)] = 1800

    def shipped(self) -> tuple[str, ...]:
        """What is copied from the application besides what Next assembles."""
        own = () if self.entry == SERVER else (self.entry,)
        return tuple(dict.fromkeys((*own, *self.include)))


def check(settings: Settings, key: str) -> None:
    """What types cannot say. ConfigError with the path of the key."""
    for name in ("entry", "migrations"):
        _inside(getattr(settings, name), f"{key}/{name}")
    for index, name in enumerate(settings.include):
        _inside(name, f"{key}/include/{index}")
    variables.check(key, settings.environment, settings.secrets, RESERVED)
    for name in sorted(set(settings.build_environment) & set(BUILD_RESERVED)):
        raise ConfigError(f"{key}/build_environment/{name}: the pipeline sets it", "remove it")


def _inside(name: str, where: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path == PurePosixPath("."):
        raise ConfigError(
            f"{where}: {name} leads out of the application", "a path relative to the application's folder"
        )
    if path.parts[0] in (".next", "node_modules", ".git"):
        raise ConfigError(f"{where}: {name} is made by the build, not part of the sources", "leave it out")
