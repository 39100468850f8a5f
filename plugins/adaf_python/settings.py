"""``apps: {NAME: {use: python, ...}}``."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from adaf_pipeline.config import Environment, UrlPath, Variable
from adaf_pipeline.roles import Deliveries

Path_ = Annotated[str, Meta(pattern="^[^/]")]

DEFAULT = {None: "app.py", "gunicorn": "app:app", "uvicorn": "app:app"}


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is built, and how it runs."""

    entry: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="the program, app.py; with `server` the application in its module, app:app"),
    ] = None
    server: Annotated[
        Literal["gunicorn", "uvicorn"] | None,
        Meta(description="what serves a WSGI or ASGI application; one of its requirements"),
    ] = None
    args: tuple[str, ...] = ()  # more words for the program or the server
    requirements: Annotated[
        Path_, Meta(description="what pip installs into the release, where there is such a file")
    ] = "requirements.txt"
    port: Variable = "PORT"  # the environment variable that says where to listen
    ready: UrlPath = "/api/health/ready"
    live: UrlPath = "/api/health/live"
    environment: Environment = {}  # of the running process; no secrets
    secrets: Annotated[Deliveries, Meta(description="variables that hold a secret")] = {}
    memory_mb: Annotated[int, Meta(ge=0, le=1 << 20)] = 0  # 0 = no limit
    migrations: Path_ = "migrations"  # directory of *.sql, applied in the order of their names
    stop_grace: Annotated[float, Meta(ge=0, le=3600)] = 10.0  # s from SIGTERM to SIGKILL
    install_timeout: Annotated[float, Meta(gt=0, le=86400)] = 900.0  # s for pip
    typecheck: bool = False  # with mypy, which has to be installed beside the pipeline

    @property
    def target(self) -> str:
        """The entry, or the one that people have when they do not say."""
        return self.entry or DEFAULT[self.server]
