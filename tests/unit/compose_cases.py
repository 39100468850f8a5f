"""A stack like ours, and what the Compose plugin makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from adaf_compose.document import document
from adaf_compose.entry import entry
from adaf_compose.peers import Peers, dns
from adaf_compose.settings import Settings
from adaf_haproxy import configuration as haproxy
from adaf_haproxy.settings import Settings as HaproxySettings
from adaf_nginx import configuration as nginx
from adaf_nginx.settings import Settings as NginxSettings
from adaf_pipeline.service import (
    Port,
    Probe,
    Ref,
    SecretUse,
    Service,
    argv,
    text,
)
from adaf_postgres import server as postgres
from adaf_postgres.settings import Settings as PostgresSettings
from adaf_redis import server as redis
from adaf_redis.settings import Settings as RedisSettings

STATE = PurePath("/var/lib/adaf/prod")
ENDPOINTS = {
    "database": {"primary": Ref("instance", postgres.ID, postgres.PORT)},
    "cache": {"primary": Ref("instance", redis.ID, redis.PORT)},
}


def web(colour: str) -> Service:
    identity = f"web.{colour}.1"
    return Service(
        id=identity,
        role="app",
        argv=argv(Ref("binary", "", "node"), Ref("path", identity, "package", "entry.cjs")),
        image="dashboard",
        environment={
            "HOSTNAME": text(Ref("instance", identity, "http", "host")),
            "PORT": text(Ref("instance", identity, "http", "port")),
            "DATABASE": text("at ", Ref("endpoint", "database", "primary")),
            "CACHE_HOST": text(Ref("endpoint", "cache", "primary", "host")),
            "PASSWORD_FILE": text(Ref("secret", "", "database-app")),
        },
        ports=(Port("http", usual=3000),),
        secrets=(SecretUse("database-app"), SecretUse("cache-app")),
        start_after=("database", "cache"),
        ready=Probe("http", http="/ready", timeout=2.5),
        package="r1",
        colour=colour,
    )


WORKER = replace(
    web("blue"),
    id="web.mail.1",
    role="worker",
    argv=argv(Ref("binary", "", "node"), Ref("path", "web.mail.1", "package", "mail.cjs")),
    environment={"DATABASE": text(Ref("endpoint", "database", "primary"))},
    ports=(),
    ready=None,
    colour="",
)
STACK: Mapping[str, Service] = {
    service.id: service
    for service in (
        postgres.service(PostgresSettings(memory_mb=256)),
        redis.service(RedisSettings()),
        haproxy.service(HaproxySettings(), "web", 1),
        nginx.service(
            NginxSettings(), Ref("instance", haproxy.ID, "http", "path"), Ref("instance", haproxy.ID, "again", "path")
        ),
        web("blue"),
        web("green"),
        WORKER,
    )
}


def peers(*more: Service) -> Peers:
    return Peers({**STACK, **{s.id: s for s in more}}, lambda role: ENDPOINTS.get(role, {}))


def made(service: Service | str, settings: Settings | None = None, image: str = "adaf/x:1", **more: Any) -> Any:
    service = STACK[service] if isinstance(service, str) else service
    more.setdefault("published", {"http": 20001})
    return entry(service, peers(service), settings or Settings(), image, state=STATE, **more)


def whole(settings: Settings | None = None) -> Any:
    return document("prod", STATE, {dns(i): made(i, settings) for i in STACK})


def plain(**more: Any) -> Service:
    return Service(**{"id": "extra.1", "role": "extra", "argv": argv("run"), **more})
