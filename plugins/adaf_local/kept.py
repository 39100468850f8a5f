"""What the runtime has in the stack's directory, and what of it nothing needs any more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from adaf_pipeline.roles import Kept

if TYPE_CHECKING:
    from adaf_local.backend import Local

OWN = (
    "applied",
    "checkout",
    "checkout.id",
    "logs",
    "pids",
    "ports.json",
    "ports.new",
    "s6",
    "s6.log",
    "s6.pid",
    "services",
    "volumes",
)
GONE = "no such service any more"
KILLED = "left by a run that was killed"
_TORN = re.compile(r"\..+\.[0-9]+")  # of places.write


def kept(runtime: Local) -> Iterator[Kept]:
    """Volumes are data, whosever they are. A service that is stopped may come back: only unknown ones are spare."""
    state, supervisor = runtime.state, runtime.supervisor
    described = {service.id for service in runtime.stack.services()} | set(supervisor.names())
    families = {identity.split(".")[0] for identity in described} | set(runtime.stack.apps)

    def spare(identity: str) -> str:
        return "" if identity.split(".")[0] in families else GONE

    for name in OWN:
        yield Kept("records", name, state / name)
    for path in _inside(state / "volumes"):
        yield Kept("data", path.name, path)
    for path in _inside(state / "logs"):
        yield Kept("logs", path.name, path, spare(path.name))
    for path in _inside(state / "services"):
        yield Kept("records", path.name, path, spare(path.name))
    for path in _inside(state / "applied"):
        yield Kept("records", path.stem, path, KILLED if _TORN.fullmatch(path.name) else spare(path.stem))
    for path in _inside(state / "s6"):
        if path.name.startswith((".new-", ".gone-")) and not any(
            supervisor.supervised(part) for part in (path, path / "log")
        ):
            yield Kept("records", path.name, path, KILLED)


def _inside(folder: Path) -> list[Path]:
    """What is really there: links are nobody's of ours."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.is_symlink())
