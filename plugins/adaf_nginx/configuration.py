"""What nginx is told: its configuration file, and the service that runs it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from adaf_nginx import headers, limiting, pages
from adaf_nginx.settings import Settings
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

ID = "proxy.1"
BINARY = Binary("nginx", package="nginx", supported=("1.22", "1.30"), version="-v")
READY = "/_adaf/proxy"
SCRATCH = "scratch"  # volume: bodies on their way, the probes' pass, and the pid
CONTROL = "control"  # volume: the file whose presence closes the site
FLAG = Ref("path", ID, CONTROL, "maintenance")
PROBE_SECRET = "edge-probe"
PROBE_HEADER = "X-Adaf-Probe"
TEMPLATES = Path(__file__).parent / "templates"

# What applications believe of a visitor and only a proxy may say, or nobody: x-middleware-subrequest skipped Next's
# middleware (CVE-2025-29927).
STRIPPED = (
    PROBE_HEADER,
    "Forwarded",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Server",
    "X-Forwarded-Ssl",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Middleware-Subrequest",
    "X-Middleware-Subrequest-Id",
)


def configuration(settings: Settings, balancer: Ref, again: Ref | None = None, health: Iterable[str] = ()) -> Text:
    """nginx.conf; ``balancer`` is where visitors are sent, ``again`` where what got no answer is repeated, ``health``
    the paths that answer during maintenance."""
    said = headers.values(settings.headers)
    return template(
        (TEMPLATES / "nginx.conf").read_text(),
        {
            "workers": str(settings.workers),
            "connections": str(settings.connections),
            "ready": READY,
            "drain": str(settings.drain),
            "body": str(settings.body_mb),
            "patience": str(settings.patience),
            "send": str(3 * settings.patience),
            "read_timeout": str(settings.read_timeout),
            "pid": Ref("path", ID, SCRATCH, "nginx.pid"),
            "passes": Ref("path", ID, SCRATCH, "probe.map"),
            "temporary": Ref("path", ID, SCRATCH),
            "flag": FLAG,
            "trust": limiting.trust(settings.trusted),
            "zones": limiting.zones(settings.limits),
            "limits": limiting.applied(settings.limits),
            "limited": "" if settings.limits.mode == "none" else "$limit_req_status",
            "health": "".join(f'        "{path}" 1;\n' for path in sorted({READY, *health})),
            "maps": headers.maps(said),
            "policy": headers.OWN_POLICY,
            "own": headers.added(said),
            "app": headers.added(said, 12),
            "hidden": headers.hidden(said),
            "stripped": "".join(f'            proxy_set_header {name} "";\n' for name in STRIPPED),
            "error_pages": pages.error_pages(),
            "pages": pages.locations(headers.added(said, 12)),
            "balancer": _server(balancer),
            "again": ('        server "', *_server(again), '" max_fails=0 backup;\n') if again else "",
            "next": "error" if again else "off",
            "listen": Ref("instance", ID, "http"),
        },
    )


def service(settings: Settings, balancer: Ref, again: Ref | None = None, health: Iterable[str] = ()) -> Service:
    """The master in the foreground, as whoever starts it: it binds no low port and changes no account."""
    return Service(
        id=ID,
        role="proxy",
        # -e: complaints from before the configuration is read
        argv=argv(Ref("binary", "", "nginx"), "-e", "stderr", "-c", Ref("path", ID, "nginx.conf")),
        binaries=(BINARY,),
        image="nginx",
        files=(
            File("gate.sh", text((TEMPLATES / "gate.sh").read_text())),
            File("nginx.conf", configuration(settings, balancer, again, health)),
        ),
        volumes=(Volume(SCRATCH, persistent=False), Volume(CONTROL)),
        ports=(Port("http", number=settings.port, public=True),),
        secrets=(SecretUse(PROBE_SECRET),),
        start_after=(balancer.owner,),
        gate=argv("/bin/sh", Ref("path", ID, "gate.sh"), Ref("secret", "", PROBE_SECRET), Ref("path", ID, SCRATCH)),
        ready=Probe("http", http=READY),
        stop_signal="QUIT",  # finishes what is in flight
        stop_grace=settings.drain + 2,
        limits=Limits(files=settings.connections + 256),
    )


def _server(place: Ref) -> Text:
    return ("unix:", place) if place.part == "path" else (place,)
