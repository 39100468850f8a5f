"""What a process of the application is started with."""

from __future__ import annotations

from adaf_pipeline.service import Ref, Text, argv, text
from adaf_python.settings import Settings

KEEP_ALIVE = "75"  # s, longer than a proxy keeps idle connections: the proxy is to be the side that closes


def command(python: Ref, service: str, settings: Settings) -> tuple[Text, ...]:
    """The program itself, or a server with the application; the configuration's own words come last and win."""
    address, host, port = (Ref("instance", service, "http", part) for part in ("", "host", "port"))
    grace = str(max(1, int(settings.stop_grace) - 1))  # what is in flight ends before the runtime's SIGKILL
    if settings.server == "gunicorn":
        words = argv("--bind", address, "--threads", "4", "--keep-alive", KEEP_ALIVE, "--graceful-timeout", grace)
    elif settings.server == "uvicorn":
        words = argv("--host", host, "--port", port, "--timeout-keep-alive", KEEP_ALIVE, "--no-access-log")
        words += argv("--timeout-graceful-shutdown", grace)
    else:
        entry = text(Ref("path", service, "package"), f"/{settings.target}")
        return argv(python, "-u", entry, *settings.args)
    return argv(python, "-u", "-m", settings.server, *words, *settings.args, settings.target)
