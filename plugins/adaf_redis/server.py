"""What the runtime has to run: one server with an append-only log."""

from __future__ import annotations

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
    Volume,
    argv,
    template,
    text,
)
from adaf_redis.settings import Settings

ID = "cache.1"
PORT = "redis"
ADMIN_SECRET = "cache-admin"
APP_SECRET = "cache-app"
SUPPORTED = ("7.0", "8.5")  # half-open: Debian 12 has 7.0, Debian 13 has 8.0
OWN_MB = 64  # besides the data: the program, what clients have not read yet

_TEMPLATES = Path(__file__).with_name("templates")


def service(settings: Settings) -> Service:
    """The primary. Its passwords reach it as hashes in an ACL file that the gate writes at each start."""
    return Service(
        id=ID,
        role="cache",
        argv=argv(Ref("binary", "", "redis-server"), Ref("path", ID, "redis.conf")),
        binaries=(Binary("redis-server", "redis-server", SUPPORTED), Binary("redis-cli", "redis-tools", SUPPORTED)),
        image="redis",
        files=(
            File("gate.sh", text((_TEMPLATES / "gate.sh").read_text())),
            File(
                "redis.conf",
                template(
                    (_TEMPLATES / "redis.conf").read_text(),
                    {
                        "host": Ref("instance", ID, PORT, "host"),
                        "port": Ref("instance", ID, PORT, "port"),
                        "data": Ref("path", ID, "data"),
                        "memory": str(settings.memory_mb),
                        "policy": settings.policy,
                    },
                ),
            ),
        ),
        volumes=(Volume("data"),),
        ports=(Port(PORT, number=settings.port, usual=6379),),
        secrets=(SecretUse(ADMIN_SECRET), SecretUse(APP_SECRET)),
        gate=argv(
            "/bin/sh",
            Ref("path", ID, "gate.sh"),
            Ref("binary", "", "redis-server"),
            Ref("path", ID, "data"),
            Ref("secret", "", ADMIN_SECRET),
            Ref("secret", "", APP_SECRET),
        ),
        ready=Probe(PORT),
        stop_signal="TERM",
        stop_grace=10,
        # the fork that writes the log anew may need every page a second time, while all of them change
        limits=Limits(memory_mb=2 * settings.memory_mb + OWN_MB),
    )
