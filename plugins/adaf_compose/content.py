"""The files that a service finds: its configuration directory, and what lies in its volumes from the start."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from adaf_compose.peers import CONFIGURATION, SECRETS, Peers, dns, kept
from adaf_pipeline.errors import PluginError
from adaf_pipeline.host import variables
from adaf_pipeline.service import Service

START = "start"
PROBE = "probe"
_PROBE = Path(__file__).with_name("templates") / "probe.pl"
_FOLDERS = {"postgres": "db"}  # the report's names
_INFRASTRUCTURE = ("database", "cache", "proxy", "balancer")


@dataclass(frozen=True, slots=True)
class InVolume:
    """A file of a volume. ``initial``: only where there is none."""

    volume: str
    name: str
    body: str
    mode: int
    initial: bool


def folder(service: Service) -> str:
    """The name of its directory beside the file: ``db``, ``redis``, ``web-blue-1``."""
    if service.role in _INFRASTRUCTURE and service.id == f"{service.role}.1" and service.image.isalnum():
        return _FOLDERS.get(service.image, service.image)
    return dns(service.id)


def has_start(service: Service) -> bool:
    """Whether something has to happen in the container before its program: a gate, or a secret put into a variable."""
    return bool(service.gate) or any(use.env for use in service.secrets)


def content(service: Service, peers: Peers) -> dict[str, tuple[str, int]]:
    """The configuration directory: name -> body and mode. {} = it needs none. PluginError when a name is ours."""
    own = {START: has_start(service), PROBE: service.ready is not None}
    found = {f.name: (peers.text(service, f.body), f.mode) for f in service.files if not f.volume}
    for file in service.files:
        if file.volume and not any(kept(service, v) for v in service.volumes if v.name == file.volume):
            raise PluginError(
                f"{service.id}: {file.name} is a file of {file.volume}, which is in memory",
                "a plugin has to say where else",
            )
    for name in sorted(found.keys() & {name for name, needed in own.items() if needed}):
        raise PluginError(
            f"{service.id}: {name} is a file of the runtime's own", "the plugin has to choose another name"
        )
    if own[START]:
        found[START] = start(service, peers), 0o444
    if own[PROBE]:
        found[PROBE] = _PROBE.read_text(), 0o444
    return dict(sorted(found.items()))


def in_volumes(service: Service, peers: Peers) -> Iterator[InVolume]:
    """Files of its volumes, as its Service says."""
    for file in service.files:
        if file.volume:
            yield InVolume(file.volume, file.name, peers.text(service, file.body), file.mode, file.initial)


def start(service: Service, peers: Peers) -> str:
    """What runs before the program; it reads secrets, and holds none. The program is its argument."""
    lines = ["#!/bin/sh", f"# {service.id}: rendered by adaf-pipeline, edits are lost", "umask 077"]
    if service.gate:
        gate = shlex.join(peers.text(service, word) for word in service.gate)
        lines += [f"{gate} || {{ echo 'adaf: the gate refused this start' >&2; exit 111; }}"]
    for use in service.secrets:
        if use.env:
            around = peers.text(service, use.before), peers.text(service, use.after)
            lines += [variables.secret(use.env, PurePosixPath(SECRETS, use.name), around)]
    return "\n".join([*lines, 'exec "$@"', ""])


def entrypoint(service: Service) -> list[str]:
    """Of its container; [] = its program is the first."""
    return ["/bin/sh", f"{CONFIGURATION}/{START}"] if has_start(service) else []
