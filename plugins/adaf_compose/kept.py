"""What the runtime has in the stack's directory, and what of it nothing needs any more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from adaf_compose.content import folder
from adaf_compose.document import FILE
from adaf_compose.entry import LABEL
from adaf_compose.peers import dns
from adaf_pipeline.roles import Kept

if TYPE_CHECKING:
    from adaf_compose.backend import Compose

OWN = (FILE, "volumes", "delivered", "logs", "images", "ports.json", "checkout", "checkout.id")
JOB = ".job-*.yml"  # the file of one job, while it runs
GONE = "no such service any more"
KILLED = "left by a run that was killed"


def kept(runtime: Compose) -> Iterator[Kept]:
    """Volumes are data, whosever they are. A service that is stopped may come back: only unknown ones are spare."""
    state, described = runtime.state, runtime.peers.services
    started = {str(made["labels"][f"{LABEL}service"]) for made in runtime.entries().values()}
    families = {identity.split(".")[0] for identity in (*described, *started)}

    def spare(identity: str) -> str:
        return "" if identity.split(".")[0] in families else GONE

    for name in OWN:
        yield Kept("records", name, state / name)
    volumes = _inside(state / "volumes")
    for path in volumes:
        yield Kept("data", path.name, path)
    for path in _inside(state / "logs"):
        yield Kept("logs", path.name, path, spare(path.name))
    for path in _inside(state / "delivered"):
        yield Kept("records", path.name, path, spare(path.name))
    folders = {dns(path.name): spare(path.name) for path in volumes}  # whoever was started has a place there
    folders |= {folder(service): "" for service in described.values()}
    for name, why in sorted(folders.items()):
        if name not in OWN and (state / name).is_dir() and not (state / name).is_symlink():
            yield Kept("records", name, state / name, why)
    for path in sorted(state.glob(JOB)):
        yield Kept("records", path.name, path, KILLED)


def _inside(place: Path) -> list[Path]:
    """What is really there: links are nobody's of ours."""
    if place.is_symlink() or not place.is_dir():
        return []
    return sorted(path for path in place.iterdir() if not path.is_symlink())
