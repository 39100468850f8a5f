"""What Refs are inside the containers: names on the stack's networks, and mounts at fixed places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from adaf_pipeline.errors import PluginError
from adaf_pipeline.service import Port, Ref, Service, Text, Volume

CONFIGURATION = "/etc/adaf"
VOLUMES = "/srv/adaf"
PACKAGE = "/app"
SECRETS = "/run/secrets"
ANY = "0.0.0.0"  # of a container: nobody is there who is not on one of its networks


def dns(identity: str) -> str:
    """A service's name in the file, and on its networks."""
    return identity.replace(".", "-")


@dataclass(frozen=True, slots=True)
class Link:
    """A port of another service that a service's texts refer to."""

    owner: Service
    port: Port


class Peers:
    """The peer view. ``services``: all that may be referred to, by id, running or not (every colour and replica).

    ``endpoints``: a role's endpoints. PluginError for a Ref that leads nowhere.
    """

    def __init__(
        self, services: Mapping[str, Service], endpoints: Callable[[str], Mapping[str, Ref]] = lambda _role: {}
    ) -> None:
        self.services = services
        self._endpoints = endpoints

    def text(self, service: Service, value: Text) -> str:
        """A Text of ``service`` with every Ref resolved."""
        return "".join(part if isinstance(part, str) else self.resolve(service, part) for part in value)

    def resolve(self, service: Service, ref: Ref) -> str:
        """What a Ref in a text of ``service`` is to it."""
        ref = self._target(service, ref)
        if ref.kind == "binary":
            return ref.name
        if ref.kind == "secret":
            return f"{SECRETS}/{ref.name}"
        if ref.kind == "path":
            return self._path(service, ref)
        owner, port = self._port(service, ref)
        if port.unix or ref.part == "path":
            if not port.unix or ref.part != "path":
                raise PluginError(
                    f"{service.id}: {owner.id}.{port.name} is no such port for {ref.part or 'host:port'}", _OTHER_KIND
                )
            return f"{volume(owner, port.unix)}/{port.name}.sock"
        host = ANY if owner.id == service.id else dns(owner.id)
        number = str(self.number(owner, port.name))
        return {"host": host, "port": number}.get(ref.part, f"{host}:{number}")

    def number(self, owner: Service, name: str) -> int:
        """The TCP port that ``owner`` listens on: the usual one, the next free where two of its ports share that."""
        taken: dict[str, int] = {}
        for port in owner.ports:
            if not port.unix:
                number = port.usual
                while number in taken.values():
                    number += 1
                taken[port.name] = number
        return taken[name]

    def links(self, service: Service) -> tuple[Link, ...]:
        """Others' ports that it refers to, each once, in a fixed order."""
        found: dict[tuple[str, str], Link] = {}
        for ref in refs(service):
            target = self._target(service, ref)
            if target.kind == "instance" and target.owner != service.id:
                owner, port = self._port(service, target)
                found[owner.id, port.name] = Link(owner, port)
        return tuple(link for _key, link in sorted(found.items()))

    def _target(self, service: Service, ref: Ref) -> Ref:
        if ref.kind != "endpoint":
            return ref
        found = self._endpoints(ref.owner).get(ref.name)
        if found is None:
            raise PluginError(
                f"{service.id}: {ref.owner} has no endpoint {ref.name}", "its backend does not provide it"
            )
        return self._target(service, Ref(found.kind, found.owner, found.name, ref.part or found.part))

    def _port(self, service: Service, ref: Ref) -> tuple[Service, Port]:
        owner = service if ref.owner == service.id else self.services.get(ref.owner)
        port = next((p for p in owner.ports if p.name == ref.name), None) if owner else None
        if owner is None or port is None:
            raise PluginError(f"{service.id}: {ref.owner} has no port {ref.name}", "a plugin names what does not exist")
        return owner, port

    def _path(self, service: Service, ref: Ref) -> str:
        if ref.owner != service.id:
            raise PluginError(
                f"{service.id}: refers to the file {ref.name} of {ref.owner}",
                "containers share sockets, not files; a plugin has to change",
            )
        if ref.name == "package":
            base = PACKAGE
        elif any(v.name == ref.name for v in service.volumes):
            base = volume(service, ref.name)
        else:
            base = f"{CONFIGURATION}/{ref.name}"
        return f"{base}/{ref.part}" if ref.part else base


_OTHER_KIND = "a plugin takes a socket for a TCP port, or the other way round"


def volume(owner: Service, name: str) -> str:
    """Where a volume is in its owner's container, and in those of its peers."""
    return f"{VOLUMES}/{owner.id}/{name}"


def kept(service: Service, wanted: Volume) -> bool:
    """Whether a volume is a directory of the host; the others are in memory, and empty at each start."""
    sockets = {port.unix for port in service.ports}
    return wanted.persistent or wanted.shared or wanted.name in sockets


def texts(service: Service) -> Iterator[Text]:
    """Every Text of a service."""
    yield from service.argv
    yield from service.gate
    yield from service.environment.values()
    yield from (file.body for file in service.files)
    for use in service.secrets:
        yield use.before
        yield use.after


def refs(service: Service) -> Iterator[Ref]:
    """Every Ref in the texts of a service."""
    return (part for value in texts(service) for part in value if isinstance(part, Ref))


def secrets(service: Service) -> tuple[str, ...]:
    """The secrets that are delivered to it, sorted."""
    return tuple(sorted({u.name for u in service.secrets} | {r.name for r in refs(service) if r.kind == "secret"}))
