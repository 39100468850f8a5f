"""The `compose` runtime: Services as hardened containers of this host."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

from adaf_compose import logs, networks
from adaf_compose.content import content
from adaf_compose.doctor import doctor
from adaf_compose.document import FILE, document, dump, load
from adaf_compose.entry import LABEL, Entry, entry, rendered_of
from adaf_compose.images import SHIPPED, Images
from adaf_compose.kept import kept
from adaf_compose.launch import Launch, lay_content
from adaf_compose.observe import Container, containers
from adaf_compose.peers import Peers, dns
from adaf_compose.program import FOLDER, PROJECT, Program
from adaf_compose.settings import Settings
from adaf_pipeline.errors import AdafError, ConfigError, PluginError, PreconditionError, ServiceError
from adaf_pipeline.event import Json
from adaf_pipeline.host import places
from adaf_pipeline.host.addresses import HOST, Addresses, free, holder
from adaf_pipeline.host.binaries import Binaries
from adaf_pipeline.process import Account
from adaf_pipeline.roles import LOCK, Change, Checked, Finding, Kept, Observed, Progress, Runtime, StackView, View
from adaf_pipeline.service import Port, Ref, Service, Services

COLOURS = ("blue", "green")
ORDER = ("proxy", "balancer", "app", "worker", "cache", "database")  # who asks is stopped before who answers
ASKER = Service("", "", ())  # somebody on the stack, no matter who


class Compose(Runtime):
    """Runs Services as containers, by one file."""

    Settings = Settings
    names = "127.0.0.11:53"  # the engine's, in each container

    def __init__(self, settings: Any, stack: StackView) -> None:
        super().__init__(settings, stack)
        self._given: dict[str, Service] = {}  # what start() was given in this process, colours included

    @cached_property
    def state(self) -> Path:  # type: ignore[override]
        name = self.stack.name
        if places.is_taken(name):  # a purge would delete what is there
            where = self.stack.config.sources.where("name")
            raise ConfigError(f"{where}: {name} is the name of a folder of the runtime's own", "choose another name")
        if os.geteuid() != 0:
            raise PreconditionError(
                "runtime: compose: only root may run it: its services' files have owners of their own",
                "sudo inv ..., or another runtime",
            )
        return places.stack_state(name, self.stack.checkout)

    @cached_property
    def account(self) -> Account | None:  # type: ignore[override]
        """Who builds; containers have users of their own."""
        return places.account()

    @cached_property
    def program(self) -> Program:
        return Program()

    @cached_property
    def images(self) -> Images:
        folder = self.stack.checkout / self.settings.images if self.settings.images else SHIPPED
        return Images(self.program, folder, self.settings.bases, self.project, self.state / "images")

    @cached_property
    def addresses(self) -> Addresses:
        return Addresses(self.state.parent, self.state)

    @cached_property
    def binaries(self) -> Binaries:
        return Binaries(self.account)

    @property
    def project(self) -> str:
        return self.state.name

    @property
    def file(self) -> Path:
        return self.state / FILE

    # ------------------------------------------------------------------------------------------- where it is

    @property
    def peers(self) -> Peers:
        """All that may be referred to: what is described, every colour of every application, and what was given."""
        known = {service.id: service for service in self.stack.services()}
        for service in self._applications():
            known.setdefault(service.id, service)
        return Peers(known | self._given, lambda role: getattr(self.stack, role).endpoints)

    def _applications(self) -> Iterator[Service]:
        """What each application would want running, whatever its release."""
        for app in self.stack.apps.values():
            for colour in COLOURS:
                for number in range(1, app.replicas + 1):
                    yield app.service(colour, number, "")

    def resolve(self, ref: Ref, view: View = "operator") -> str:
        """Peers know names; the operator, on the host, the addresses that containers have now."""
        if ref.kind == "endpoint":
            target = getattr(self.stack, ref.owner).endpoints.get(ref.name)
            if target is None:
                raise PreconditionError(f"{ref.owner} has no endpoint {ref.name}", "the backend does not provide it")
            return self.resolve(Ref(target.kind, target.owner, target.name, ref.part or target.part), view)
        if view == "peer":
            owner = self.peers.services.get(ref.owner) if ref.kind == "path" else None
            return self.peers.resolve(owner or ASKER, ref)
        if ref.kind == "secret":
            return str(self.stack.secrets.path(ref.name))
        if ref.kind == "binary":
            return self._binary(ref.name)
        if ref.kind == "path":
            return str(self._path(ref))
        owner, port = self._port(ref)
        if ref.part == "path":
            return str(self.state / "volumes" / owner.id / port.unix / f"{port.name}.sock")
        host, number = self._reached(owner, port, ref.part)
        return {"host": host, "port": number}.get(ref.part, f"{host}:{number}")

    def _port(self, ref: Ref) -> tuple[Service, Port]:
        owner = self.peers.services.get(ref.owner)
        port = next((p for p in owner.ports if p.name == ref.name), None) if owner else None
        if owner is None or port is None or (ref.part == "path") != bool(port.unix):
            raise PreconditionError(
                f"{ref.owner} has no port {ref.name}", "it is not started, or a plugin names a port that does not exist"
            )
        return owner, port

    def _reached(self, owner: Service, port: Port, part: str) -> tuple[str, str]:
        if port.public:
            address = self.settings.address
            return HOST if address == "0.0.0.0" else address, str(self._published(owner, port))
        number = str(self.peers.number(owner, port.name))
        if part == "port":
            return "", number
        found = next((c for c in self.containers() if c.id == owner.id), None)
        host = found.address(networks.tier(owner, port)) if found else ""
        if not host:
            raise PreconditionError(f"{owner.id} has no address: it does not run", "inv up")
        return host, number

    def _published(self, owner: Service, port: Port) -> int:
        return port.number or self.addresses.port(owner.id, port.name)

    def _path(self, ref: Ref) -> Path:
        service = self.peers.services.get(ref.owner)
        if ref.name == "package":
            base = self.state / "releases" / (service.package if service else "")
        elif service and any(volume.name == ref.name for volume in service.volumes):
            base = self.state / "volumes" / ref.owner / ref.name
        else:
            base = self.state / dns(ref.owner) / ref.name
        return base / ref.part if ref.part else base

    def _binary(self, name: str) -> str:
        """Of the host: what the operator runs, `psql` for example."""
        for service in self.peers.services.values():
            for binary in service.binaries:
                if binary.name == name:
                    return self.binaries.find(binary)
        raise PreconditionError(f"program {name} is not declared by any service", "the plugin has to declare it")

    # ---------------------------------------------------------------------------------------------- what runs

    def containers(self) -> list[Container]:
        """Of the services, as they are now."""
        return list(containers(self.program, self.project, self.state))

    def entry(self, service: Service) -> Entry:
        """Its entry in the file."""
        published = {p.name: self._published(service, p) for p in service.ports if p.public}
        image = self.images.of(service.image, service.package)
        return entry(service, self.peers, self.settings, image, state=self.state, published=published)

    def entries(self) -> dict[str, Entry]:
        """What is in the file."""
        try:
            return dict(load(self.file.read_text(), str(self.file))["services"])
        except FileNotFoundError:
            return {}

    def write(self, more: Mapping[str, Entry]) -> None:
        """The file with these entries, by name, and those of the containers that there are.

        After a `down` the others are only there for who starts them by hand: the next start is from adaf.yaml.
        """
        there = {dns(container.id) for container in self.containers()}
        found = {name: made for name, made in self.entries().items() if name in there}
        places.write(self.file, dump(document(self.project, self.state, {**found, **more})), mode=0o600)

    def changes(self, services: Services, *, whole: bool = False) -> tuple[Change, ...]:
        self._given |= {service.id: service for service in services}
        seen, found = {c.id: c for c in self.containers()}, []
        for service in services:
            if not service.image:
                raise PluginError(
                    f"{service.id}: no image to run it in", "its plugin gives the Service one, by name or by digest"
                )
            here = seen.get(service.id)
            if service.job:
                found.append(Change(service.id, "start", "runs once"))
            elif here is None or not here.running:
                found.append(Change(service.id, "start", "was down" if here else "new"))
            elif here.labels.get(f"{LABEL}digest") != service.digest():
                found.append(Change(service.id, "restart", "its configuration changed"))
            elif here.rendered != rendered_of(self.entry(service)):
                found.append(Change(service.id, "restart", "its container changed"))
            elif (origin := here.labels.get(FOLDER, str(self.state))) != str(self.state):
                found.append(Change(service.id, "restart", f"it was started by hand from {origin}"))
            else:
                found.append(Change(service.id, "same", "runs as described"))
        if whole:
            wanted = {service.id for service in services}
            found += [Change(name, "stop", "no longer described") for name in sorted(seen) if name not in wanted]
        return tuple(found)

    def start(self, services: Services, progress: Progress) -> None:
        self._given |= {service.id: service for service in services}
        todo = {c.id for c in self.changes(services) if c.kind != "same"}
        chosen = [service for service in services if service.id in todo]
        running = {c.id for c in self.containers() if c.running}
        for service in chosen:
            if service.id not in running:  # else the port is its own
                self._check_ports(service)
        self.images.ensure((s.image for s in chosen if not s.package and "@" not in s.image), progress)
        for service in chosen:
            if service.package:
                self.package(self.state / "releases" / service.package, service.package, service.image, progress)
        Launch(self, services, todo, progress).run()

    def _check_ports(self, service: Service) -> None:
        for port in service.ports:
            number = self._published(service, port) if port.public else 0
            if number and not free(number):
                raise PreconditionError(
                    f"port {number} of {service.id} is taken by {holder(number)}",
                    "stop that process, or choose another port in adaf.yaml",
                )

    def stop(self, ids: Iterable[str], progress: Progress) -> None:
        wanted = set(ids)
        self._stop_all([c for c in self.containers() if c.id in wanted], progress)
        if self.entries().keys() & {dns(identity) for identity in wanted}:
            self.write({})
        for identity in wanted:
            places.remove(self.state / "delivered" / identity)

    def _stop_all(self, found: list[Container], progress: Progress) -> None:
        for rank in sorted({_rank(c.role) for c in found}):
            with ThreadPoolExecutor(max_workers=8, thread_name_prefix="stop") as pool:
                list(pool.map(lambda c: self._stop(c, progress), [c for c in found if _rank(c.role) == rank]))

    def _stop(self, container: Container, progress: Progress) -> None:
        from docker.errors import NotFound

        progress(f"stopping {container.id}")
        with self.program.asking(), contextlib.suppress(NotFound):
            seen = self.program.client.containers.get(container.seen.id)  # its grace may be longer than a look
            seen.stop()
            logs.keep(self, container)
            seen.remove(force=True)

    def down(self, *, purge: bool, progress: Progress) -> None:
        found = self.containers()
        if not places.used(self.state) and not found:
            progress("nothing runs")
        self._stop_all(found, progress)  # their entries and secrets stay: Compose alone can start them again
        with self.program.asking():
            for network in self.program.client.networks.list(
                filters={"label": f"{PROJECT}={self.project}"}, greedy=True
            ):
                if not network.attrs.get("Containers"):  # somebody else's container may be on it
                    network.remove()
        if purge:
            progress(f"deleting {self.state}")
            self.images.discard_all()
            places.purge(self.state, LOCK)

    def observe(self) -> Mapping[str, Observed]:
        found = self.containers()
        with ThreadPoolExecutor(max_workers=8, thread_name_prefix="observe") as pool:
            return {seen.id: seen for seen in pool.map(lambda c: c.observed(), found)}

    # ------------------------------------------------------------------------------------ releases, logs, doctor

    def package(self, artefact: Path, release: str, image: str, progress: Progress) -> Mapping[str, Json]:
        """An image on top of the service's own; the directory stays, and makes it anew when somebody deleted it."""
        return {"image": self.images.package(artefact, release, image, progress)}

    def enter(self, service: str) -> tuple[str, ...]:
        here = next((c for c in self.containers() if c.id == service and c.running), None)
        if here is None:
            raise ServiceError(f"{service} does not run", "inv up")
        return self.program.inside(str(here.seen.id))

    def discard(self, release: str) -> None:
        self.images.discard(release)

    def security(self) -> Iterable[Checked]:
        from adaf_compose.hardening.stack import security  # nobody else needs the rules

        return security(self)

    def render(self, services: Services, folder: Path) -> tuple[str, ...]:
        self._given |= {service.id: service for service in services}
        made = {dns(service.id): self.entry(service) for service in services if not service.job}
        places.write(folder / FILE, dump(document(self.project, self.state, made)), mode=0o600)
        names = [FILE]
        for service in services:
            names += lay_content(folder, service, content(service, self.peers))
        return tuple(names)

    def tail(self, identity: str, lines: int = 12) -> list[str]:
        """The end of a service's log, for who reads a failure."""
        try:
            return list(deque(self.logs(identity, lines), maxlen=lines))
        except AdafError:  # evidence that cannot be read must not replace the failure
            return []

    def logs(self, service: str, lines: int, *, follow: bool = False) -> Iterator[str]:
        return logs.read(self, service, lines, follow=follow)

    def kept(self) -> Iterable[Kept]:
        return kept(self)

    def doctor(self) -> Iterable[Finding]:
        return doctor(self)


def _rank(role: str) -> int:
    return ORDER.index(role) if role in ORDER else ORDER.index("app")
