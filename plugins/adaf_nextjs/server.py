"""The process of one colour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from adaf_nextjs.tools import NODE
from adaf_pipeline.roles import Binding
from adaf_pipeline.service import Limits, Port, Probe, Ref, Service, Text, argv, text


class Runs(Protocol):
    """What the settings of a Node application say about its processes."""

    @property
    def entry(self) -> str: ...
    @property
    def environment(self) -> Mapping[str, str]: ...
    @property
    def ready(self) -> str: ...
    @property
    def live(self) -> str: ...
    @property
    def metrics(self) -> str: ...
    @property
    def ready_timeout(self) -> float: ...
    @property
    def stop_grace(self) -> float: ...
    @property
    def memory_mb(self) -> int: ...


HEAP = 0.75  # of the memory limit: the rest is buffers, code and stacks
KEEP_ALIVE_MS = "75000"  # longer than a proxy keeps idle connections: the proxy is to be the side that closes


def service(app: str, settings: Runs, within: str, needs: Binding, colour: str, number: int, release: str) -> Service:
    """What each value means is in the Service's own record; the pipeline's variables win over all others."""
    identity = f"{app}.{colour}.{number}"
    environment: dict[str, Text] = {"KEEP_ALIVE_TIMEOUT": text(KEEP_ALIVE_MS), **needs.environment}
    environment |= {name: text(value) for name, value in settings.environment.items()}
    if settings.memory_mb:
        heap = f"--max-old-space-size={int(settings.memory_mb * HEAP)}"
        own = settings.environment.get("NODE_OPTIONS", "")  # comes last, so that it wins
        environment["NODE_OPTIONS"] = text(f"{heap} {own}".strip())
    environment |= {
        "PORT": text(Ref("instance", identity, "http", "port")),
        "HOSTNAME": text(Ref("instance", identity, "http", "host")),
        "NODE_ENV": text("production"),
        "NEXT_TELEMETRY_DISABLED": text("1"),
        "ADAF_RELEASE": text(release),
        "ADAF_COLOUR": text(colour),
    }
    return Service(
        id=identity,
        role="app",
        argv=argv(Ref("binary", "", NODE.name), Ref("path", identity, "package", _below(within, settings.entry))),
        binaries=(NODE,),
        image="dashboard",
        environment=environment,
        ports=(Port("http", usual=3000),),
        secrets=needs.secrets,
        start_after=("database", "cache"),
        ready=Probe("http", http=settings.ready, deadline=settings.ready_timeout),
        stop_signal="TERM",
        stop_grace=settings.stop_grace,
        limits=Limits(memory_mb=settings.memory_mb),
        metrics=("http", settings.metrics) if settings.metrics else None,
        package=release,
        colour=colour,
        labels={"app": app, "live": settings.live},
    )


def worker(
    app: str, settings: Runs, within: str, needs: Binding, name: str, command: tuple[str, ...], release: str
) -> Service:
    """A node process of the same release and environment, without a port."""
    web, identity = service(app, settings, within, needs, "", 1, release), f"{app}.{name}.1"
    environment = {
        key: value for key, value in web.environment.items() if key not in ("PORT", "HOSTNAME", "ADAF_COLOUR")
    }
    entry, *words = command
    return replace(
        web,
        id=identity,
        role="worker",
        argv=argv(Ref("binary", "", NODE.name), Ref("path", identity, "package", _below(within, entry)), *words),
        environment=environment | {"ADAF_WORKER": text(name)},
        ports=(),
        ready=None,
        metrics=None,
        labels={"app": app},
    )


def _below(folder: str, name: str) -> str:
    """A path of the release: a workspace's application keeps its place in it."""
    return f"{folder}/{name}" if folder else name
