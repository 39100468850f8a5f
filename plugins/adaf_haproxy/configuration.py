"""What HAProxy is told: its configuration file, and the service that runs it."""

from __future__ import annotations

import base64
import hashlib
import re
from itertools import product
from pathlib import Path

from adaf_haproxy import location
from adaf_haproxy.settings import Settings
from adaf_haproxy.share import FILE, NOTHING_LIVE, statement
from adaf_pipeline.roles import COLOURS
from adaf_pipeline.service import Binary, File, Limits, Port, Probe, Ref, Service, Text, Volume, argv, template, text

ID = "balancer.1"
BINARY = Binary("haproxy", package="haproxy", supported=("2.6", "3.3"), version="-v")
CONTROL = "control"  # volume: the admin socket and the share; nobody else's business
EDGE = "edge"  # volume: the socket that the proxy sends visitors to
READY = "/_adaf/balancer"
REQUEST_KB = 96  # of one in flight: haproxy's two buffers a side, and the kernel's of both sockets
OWN_MB = 64
TEMPLATES = Path(__file__).parent / "templates"
PAGES = ("no-release.html", "away.html")


def policy() -> str:
    """The Content-Security-Policy of our pages: nothing but their styles, known by their hashes."""
    styles = re.findall("<style>(.*?)</style>", "".join((TEMPLATES / page).read_text() for page in PAGES), re.DOTALL)
    hashes = {base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() for style in styles}
    allowed = " ".join(f"'sha256-{known}'" for known in sorted(hashes))
    return f"default-src 'none'; style-src {allowed}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def servers(app: str, replicas: int) -> Text:
    """``use-server`` and ``server`` lines. A visitor stays with one replica of a colour, by the same bucket."""
    chosen: list[str | Ref] = []
    known: list[str | Ref] = []
    for colour, number in product(COLOURS, range(1, replicas + 1)):
        mine = f"{{ var(txn.colour) -m str {colour} }}"
        if replicas > 1:
            mine += f" {{ var(txn.bucket),mod({replicas}) eq {number - 1} }}"
        name, address = f"{colour}-{number}", Ref("instance", f"{app}.{colour}.{number}", "http")
        chosen += [
            f"    use-server {name} if {mine} {{ var(txn.repeatable) -m found }} !{{ var(txn.again) -m found }}\n"
        ]
        chosen += [f"    use-server {name}-once if {mine}\n"]
        known += [f"    server {name} ", address, " weight 0\n"]
        known += [f"    server {name}-once ", address, " pool-max-conn 0\n"]
    return (*chosen, *known)


def configuration(settings: Settings, app: str, replicas: int, names: str) -> Text:
    """haproxy.cfg. ``names``: the name server that addresses are looked up at; "" = they stay."""
    metrics: Text = (
        "frontend stats\n    bind ",
        Ref("instance", ID, "stats"),
        "\n    http-request use-service prometheus-exporter if { path /metrics }\n    http-request return status 404\n",
    )
    values: dict[str, str | Ref | Text] = {
        "admin": Ref("instance", ID, "admin", "path"),
        "socket": ("unix@", Ref("instance", ID, "http", "path")),
        "again": ("unix@", Ref("instance", ID, "again", "path")),
        "page": Ref("path", ID, "no-release.html"),
        "away": Ref("path", ID, "away.html"),
        "headers": f'hdr Retry-After 5 hdr Cache-Control no-store hdr Content-Security-Policy "{policy()}"',
        "probe": READY,
        "resolvers": location.resolvers(names) if names else (),
        "servers": ((location.DEFAULTS,) if names else ()) + servers(app, replicas),
        "metrics": metrics if settings.metrics else (),
        "cookie": settings.cookie,
        "age": str(settings.cookie_days * 86400),
        "threads": str(settings.threads),
        "maxconn": str(settings.maxconn),
        "ring": str(settings.log_mb << 20),
    }
    for name in ("connect", "client", "server", "tunnel"):
        values[name] = f"{getattr(settings, name) * 1000:.0f}ms"
    return template((TEMPLATES / "haproxy.cfg").read_text(), values)


def service(settings: Settings, app: str, replicas: int, names: str = "") -> Service:
    """One process, no master: killed is dead, and no worker stays behind on the sockets."""
    return Service(
        id=ID,
        role="balancer",
        argv=argv(
            Ref("binary", "", "haproxy"),
            "-db",
            "-f",
            Ref("path", ID, "haproxy.cfg"),
            "-f",
            Ref("path", ID, CONTROL, FILE),
        ),
        binaries=(BINARY,),
        image="haproxy",
        files=(
            File("haproxy.cfg", configuration(settings, app, replicas, names)),
            *(File(page, text((TEMPLATES / page).read_text())) for page in PAGES),
            File(FILE, text(statement(NOTHING_LIVE)), mode=0o644, initial=True, volume=CONTROL),
        ),
        volumes=(Volume(CONTROL), Volume(EDGE, persistent=False, shared=True)),
        ports=(
            Port("http", unix=EDGE),
            Port("again", unix=EDGE),
            Port("admin", unix=CONTROL),
            *((Port("stats", usual=8404),) if settings.metrics else ()),
        ),
        ready=Probe("http", http=READY),
        # TERM, at once: the proxy is stopped first and has waited for what was in flight; a soft stop would only
        # make a restart's outage longer.
        stop_signal="TERM",
        limits=Limits(
            memory_mb=OWN_MB + settings.log_mb + settings.maxconn * REQUEST_KB // 1024,
            files=2 * settings.maxconn + 256,
        ),
        metrics=("stats", "/metrics") if settings.metrics else None,
    )
