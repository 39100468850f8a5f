"""What the runtime has to run: one postmaster, sized for the machine."""

from __future__ import annotations

import os
from pathlib import Path

from adaf_pipeline.service import (
    Binary,
    File,
    Limits,
    Port,
    Probe,
    Ref,
    SecretUse,
    Service,
    Text,
    Volume,
    argv,
    template,
    text,
)
from adaf_postgres.settings import Settings

ID = "database.1"
PORT = "postgres"
ADMIN_SECRET = "database-admin"
APP_SECRET = "database-app"
SUPPORTED = (15, 18)  # half-open: Debian 12 has 15, Debian 13 has 17
SESSION_MB = 4  # of one session before it sorts anything: its process and what it caches of the catalogue
NEIGHBOURS = "host   all  all  samenet       scram-sha-256\n"

_TEMPLATES = Path(__file__).with_name("templates")


def service(settings: Settings, *, neighbours: bool = False) -> Service:
    """The primary. The cluster is a folder in its volume, so that it can be renamed as a whole.

    ``neighbours``: who connects has an address of its own on the server's network, not the loopback one.
    """
    memory = settings.memory_mb or modest_share(machine_memory())
    return Service(
        id=ID,
        role="database",
        argv=argv(
            Ref("binary", "", "postgres"),
            "-D",
            Ref("path", ID, "data", "cluster"),
            "-c",
            ("config_file=", Ref("path", ID, "postgresql.conf")),
        ),
        binaries=binaries(settings.version),
        image="postgres",
        files=(
            File("gate.sh", text((_TEMPLATES / "gate.sh").read_text())),
            File("postgresql.conf", _configuration(settings, memory)),
            File("pg_hba.conf", text((_TEMPLATES / "pg_hba.conf").read_text() + (NEIGHBOURS if neighbours else ""))),
        ),
        volumes=(Volume("data"), Volume("sockets", persistent=False)),
        ports=(Port(PORT, number=settings.port, usual=5432),),
        secrets=(SecretUse(ADMIN_SECRET),),
        gate=argv(
            "/bin/sh",
            Ref("path", ID, "gate.sh"),
            Ref("binary", "", "initdb"),
            Ref("binary", "", "postgres"),
            Ref("path", ID, "data"),
            Ref("secret", "", ADMIN_SECRET),
        ),
        ready=Probe(PORT, deadline=60),  # it accepts while it still recovers: prepare() waits for a query
        stop_signal="INT",  # fast shutdown: sessions are ended, everything is written
        stop_grace=60,
        limits=Limits(
            memory_mb=memory + SESSION_MB * settings.max_connections,
            shared_memory_mb=max(64, memory // 4),  # what a parallel query's processes share, as large as its sorts
        ),
    )


def binaries(version: int) -> tuple[Binary, ...]:
    """Server and tools of one major version; 0 = the newest that is installed and supported."""
    low, high = (version, version + 1) if version else SUPPORTED
    search = (f"/usr/lib/postgresql/{version or '*'}/bin",)  # where Debian keeps majors side by side
    packages = {"postgres": "postgresql", "initdb": "postgresql", "psql": "postgresql-client"}
    return tuple(Binary(name, package, (str(low), str(high)), search) for name, package in packages.items())


def machine_memory() -> int:
    """MB of this machine; the only place that looks."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20


def modest_share(machine: int) -> int:
    """An eighth as a power of two: the same after a reboot that reports some MB less, or the server would restart."""
    return min(1024, max(128, 1 << (max(machine // 8, 1).bit_length() - 1)))


def sizes(memory: int, connections: int) -> dict[str, int]:
    """The usual shares of what the server may take: a quarter shared, the rest is for the kernel's cache and sorts."""
    return {
        "memory": memory,
        "shared_buffers": memory // 4,
        "effective_cache_size": memory * 3 // 4,
        "maintenance_work_mem": max(16, memory // 16),
        "work_mem": max(4096, memory * 1024 // 4 // connections),  # kB
    }


def _configuration(settings: Settings, memory: int) -> Text:
    values: dict[str, str | Ref | Text] = {
        name: str(size) for name, size in sizes(memory, settings.max_connections).items()
    }
    values |= {
        "max_connections": str(settings.max_connections),
        "host": Ref("instance", ID, PORT, "host"),
        "port": Ref("instance", ID, PORT, "port"),
        "sockets": Ref("path", ID, "sockets"),
        "hba": Ref("path", ID, "pg_hba.conf"),
    }
    return template((_TEMPLATES / "postgresql.conf").read_text(), values)
