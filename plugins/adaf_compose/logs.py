"""What containers said: the engine has it while they are there, and the end of it is kept when they go."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaf_compose.observe import Container
from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.host import places

if TYPE_CHECKING:
    from adaf_compose.backend import Compose

LAST = 1000  # lines of a log that outlive its container
LOOK = 0.5  # seconds between two looks for the container that goes on


def last(runtime: Compose, identity: str) -> Path:
    """Where the end of its log is kept when its container goes; its folder is made."""
    return places.make(runtime.state / "logs" / identity, None) / "current"


def keep(runtime: Compose, container: Container) -> None:
    """A container's log goes with it, and is mostly wanted afterwards."""
    last(runtime, container.id).write_bytes(container.seen.logs(tail=LAST))


def read(runtime: Compose, service: str, lines: int, *, follow: bool) -> Iterator[str]:
    """The newest lines, oldest first. PreconditionError for a service that never ran."""
    found = {c.id: c for c in runtime.containers()}
    kept = runtime.state / "logs"
    if service in found:
        yield from _said(runtime, found[service], tail=lines, follow=follow)
        if follow:
            yield from _next_ones(runtime, found[service])
    elif service in (known := {path.name for path in kept.glob("*")}):  # a name, never a path
        yield from deque((kept / service / "current").read_text(errors="replace").splitlines(), maxlen=lines)
    else:
        names = ", ".join(sorted(known | found.keys()))
        raise PreconditionError(f"no service {service}", f"there are: {names or 'none yet'}")


def _said(runtime: Compose, container: Container, **how: Any) -> Iterator[str]:
    with runtime.program.asking():
        yield from split(container.seen.logs(stream=True, **how))


def _next_ones(runtime: Compose, container: Container) -> Iterator[str]:
    """Whoever follows a service wants what its next container says, or the same one after its restart."""
    before, heard = container, time.time()
    while True:
        time.sleep(LOOK)
        now = next((c for c in runtime.containers() if c.id == container.id and c.running), None)
        if now is None:
            continue
        again = now.seen.id == before.seen.id
        # the engine knows exactly when it ended, but of its last run alone; it may have had more than one meanwhile
        since = {"since": min(heard, now.ended or heard)} if again else {}
        yield from _said(runtime, now, follow=True, **since)
        before, heard = now, time.time()


def split(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines, however the engine cuts them."""
    part = b""
    for chunk in chunks:
        *whole, part = (part + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
    if part:
        yield part.decode(errors="replace")
