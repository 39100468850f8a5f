"""What nginx is told: its configuration file, and the service that runs it."""

from __future__ import annotations

from pathlib import Path

from adaf_nginx.settings import Settings
from adaf_pipeline.service import Binary, File, Limits, Port, Probe, Ref, Service, Text, Volume, argv, template

ID = "proxy.1"
BINARY = Binary("nginx", package="nginx", supported=("1.22", "1.30"), version="-v")
READY = "/_adaf/proxy"
SCRATCH = "scratch"  # volume: bodies on their way, and the pid
TEMPLATE = Path(__file__).parent / "templates" / "nginx.conf"


def configuration(settings: Settings, balancer: Ref, again: Ref | None = None) -> Text:
    """nginx.conf; ``balancer`` is where visitors are sent, ``again`` where what got no answer is repeated."""
    return template(
        TEMPLATE.read_text(),
        {
            "workers": str(settings.workers),
            "connections": str(settings.connections),
            "ready": READY,
            "drain": str(settings.drain),
            "body": str(settings.body_mb),
            "read_timeout": str(settings.read_timeout),
            "pid": Ref("path", ID, SCRATCH, "nginx.pid"),
            "temporary": Ref("path", ID, SCRATCH),
            "balancer": _server(balancer),
            "again": ('        server "', *_server(again), '" max_fails=0 backup;\n') if again else "",
            "next": "error" if again else "off",
            "listen": Ref("instance", ID, "http"),
        },
    )


def service(settings: Settings, balancer: Ref, again: Ref | None = None) -> Service:
    """The master in the foreground, as whoever starts it: it binds no low port and changes no account."""
    return Service(
        id=ID,
        role="proxy",
        # -e: complaints from before the configuration is read
        argv=argv(Ref("binary", "", "nginx"), "-e", "stderr", "-c", Ref("path", ID, "nginx.conf")),
        binaries=(BINARY,),
        image="nginx",
        files=(File("nginx.conf", configuration(settings, balancer, again)),),
        volumes=(Volume(SCRATCH, persistent=False),),
        ports=(Port("http", number=settings.port, public=True),),
        start_after=(balancer.owner,),
        ready=Probe("http", http=READY),
        stop_signal="QUIT",  # finishes what is in flight
        stop_grace=settings.drain + 2,
        limits=Limits(files=settings.connections + 256),
    )


def _server(place: Ref) -> Text:
    return ("unix:", place) if place.part == "path" else (place,)
