"""The rules on a stack: its file as it would be rendered now, and its containers as they are."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from adaf_compose import networks
from adaf_compose.document import Document, document
from adaf_compose.entry import entry
from adaf_compose.hardening.check import checked
from adaf_compose.hardening.live import live
from adaf_compose.hardening.planned import planned
from adaf_compose.hardening.posture import Posture
from adaf_compose.hardening.rules import Case
from adaf_compose.peers import Peers, dns
from adaf_compose.program import PROJECT
from adaf_pipeline.roles import Checked
from adaf_pipeline.service import Service

if TYPE_CHECKING:
    from adaf_compose.backend import Compose

NOBODY = Service("", "", ())  # whoever is not declared may do nothing beyond the usual


def security(runtime: Compose, today: datetime.date | None = None) -> Iterator[Checked]:
    """Every rule, on the plan and live. Writes nothing, makes no secret and takes no port."""
    services = described(runtime)
    peers = runtime.peers
    secrets = runtime.stack.secrets
    state = PurePath(os.path.realpath(runtime.state))
    values = frozenset(secrets.value(name) for name in secrets.names())

    def case(posture: Posture) -> Case:
        service = services.get(posture.subject, NOBODY)
        return Case(
            posture,
            service,
            runtime.settings,
            state,
            frozenset(networks.joined(service, peers, runtime.settings)) if service.id else frozenset(),
            frozenset(peers.number(service, port.name) for port in service.ports if port.public),
            mounts.get(posture.subject, frozenset()),
            values,
        )

    file = list(planned(plan(runtime, services, peers)))
    mounts = {posture.subject: frozenset(mount.source for mount in posture.mounts) for posture in file}
    found = map(case, (*file, *running(runtime)))
    yield from checked(found, runtime.settings.waivers, today or datetime.date.today())


def described(runtime: Compose) -> dict[str, Service]:
    """All that may run: the infrastructure, both colours of each application, its workers."""
    found = dict(runtime.peers.services)
    for app in runtime.stack.apps.values():
        for name, command in app.workers.items():
            worker = app.worker(name, tuple(command), "")
            found.setdefault(worker.id, worker)
    return found


def plan(runtime: Compose, services: Mapping[str, Service], peers: Peers) -> Document:
    """The file with all of them. A port that the host has not given away yet is 0 in it."""
    made = {
        dns(name): entry(
            service, peers, runtime.settings, runtime.images.of(service.image, service.package), state=runtime.state
        )
        for name, service in services.items()
    }
    return document(runtime.project, runtime.state, made)


def running(runtime: Compose) -> Iterator[Posture]:
    """Each container of the project, and whoever else is on one of its networks."""
    program = runtime.program
    with program.asking():
        client = program.looking
        known = {str(n.id): n.attrs for n in client.networks.list(filters={"label": f"{PROJECT}={runtime.project}"})}
        engine = client.info().get("SecurityOptions") or ()
        filters: list[dict[str, Any]] = [{"label": f"{PROJECT}={runtime.project}"}]
        filters += [{"network": list(known)}] if known else []
        seen = {
            c.id: c for each in filters for c in client.containers.list(all=True, ignore_removed=True, filters=each)
        }
    for container in sorted(seen.values(), key=lambda c: str(c.name)):
        yield live(container.attrs, runtime.project, known, engine)
