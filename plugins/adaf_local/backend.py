"""The `local` runtime: Services as processes under s6, on loopback ports, as one account."""

from __future__ import annotations

import json
import os
import resource
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from adaf_local import memory
from adaf_local.kept import kept
from adaf_local.launch import Launch
from adaf_local.logs import Log
from adaf_local.supervisor import Supervisor, check_installed
from adaf_pipeline.errors import AdafError, ConfigError, PreconditionError
from adaf_pipeline.event import Json
from adaf_pipeline.host import places
from adaf_pipeline.host.addresses import HOST, Addresses, free, holder, reserved
from adaf_pipeline.host.binaries import Binaries
from adaf_pipeline.host.probing import probe
from adaf_pipeline.process import Account
from adaf_pipeline.roles import LOCK, Change, Finding, Kept, Observed, Progress, Runtime, StackView, View
from adaf_pipeline.service import Probe, Ref, Service, Services

SOCKET = 95  # bytes of a path: sun_path holds 108, and haproxy binds PATH.PID.tmp first


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing to set yet: places, ports and the account are found."""


class Local(Runtime):
    """Runs Services as supervised processes of this machine."""

    Settings = Settings

    def __init__(self, settings: Any, stack: StackView) -> None:
        super().__init__(settings, stack)
        self._given: dict[str, Service] = {}  # what start() was given in this process, colours included

    @cached_property
    def state(self) -> Path:  # type: ignore[override]
        name = self.stack.name
        if places.is_taken(name):  # a purge would delete what is there
            where = self.stack.config.sources.where("name")
            raise ConfigError(f"{where}: {name} is the name of a folder of the runtime's own", "choose another name")
        return places.stack_state(name, self.stack.checkout)

    @cached_property
    def account(self) -> Account | None:  # type: ignore[override]
        return places.account()

    @cached_property
    def supervisor(self) -> Supervisor:
        check_installed()
        return Supervisor(self.state, self.account)

    @cached_property
    def addresses(self) -> Addresses:
        return Addresses(self.state.parent, self.state)

    @cached_property
    def binaries(self) -> Binaries:
        tools = self.state.parent / "tools"
        return Binaries(self.account, (*sorted(tools.glob("bin")), *sorted(tools.glob("node/bin"))))

    # ------------------------------------------------------------------------------------------- where it is

    def _service(self, identity: str) -> Service | None:
        found = self._given.get(identity)
        return found or next((s for s in self.stack.services() if s.id == identity), None)

    def resolve(self, ref: Ref, view: View = "operator") -> str:
        """Peers and operator share loopback here, so ``view`` makes no difference."""
        if ref.kind == "endpoint":
            target = getattr(self.stack, ref.owner).endpoints.get(ref.name)
            if target is None:
                raise PreconditionError(f"{ref.owner} has no endpoint {ref.name}", "the backend does not provide it")
            return self.resolve(Ref(target.kind, target.owner, target.name, ref.part or target.part), view)
        if ref.kind == "secret":
            return str(self.stack.secrets.path(ref.name))
        if ref.kind == "binary":
            return self._binary(ref.name)
        if ref.kind == "path":
            return str(self._path(ref))
        if ref.part == "path":
            return str(self._socket(ref.owner, ref.name))
        if ref.part == "host":
            return HOST
        port = self._port(ref.owner, ref.name)
        return str(port) if ref.part == "port" else f"{HOST}:{port}"

    def _port(self, owner: str, name: str) -> int:
        service = self._service(owner)
        wished = next((p.number for p in service.ports if p.name == name), 0) if service else 0
        return wished or self.addresses.port(owner, name)

    def _socket(self, owner: str, name: str) -> Path:
        service = self._service(owner)
        port = next((p for p in service.ports if p.name == name and p.unix), None) if service else None
        if port is None:
            raise PreconditionError(f"{owner} has no unix port {name}", "a plugin names a port that does not exist")
        path = self.state / "volumes" / owner / port.unix / f"{name}.sock"
        length = len(os.fsencode(path))
        if length > SOCKET:
            raise PreconditionError(
                f"{path}: {length} bytes are too long for a socket, {SOCKET} is the limit",
                f"set XDG_STATE_HOME to a folder whose name is {length - SOCKET} bytes shorter",
            )
        return path

    def _path(self, ref: Ref) -> Path:
        if ref.name == "package":
            service = self._service(ref.owner)
            base = self.state / "releases" / (service.package if service else "")
        else:
            service = self._service(ref.owner)
            volumes = {v.name for v in service.volumes} if service else set()
            folder = "volumes" if ref.name in volumes else "services"
            base = self.state / folder / ref.owner / ref.name
        return base / ref.part if ref.part else base

    def _binary(self, name: str) -> str:
        for services in (self._given.values, self.stack.services, self._applications):
            for binary in (b for s in services() for b in s.binaries if b.name == name):
                return self.binaries.find(binary)
        raise PreconditionError(f"program {name} is not declared by any service", "the plugin has to declare it")

    def _applications(self) -> Services:
        """What each application would want running, whatever its colour and release."""
        return tuple(app.service("blue", 1, "") for app in self.stack.apps.values())

    # ---------------------------------------------------------------------------------------------- what runs

    def _applied(self, identity: str) -> str:
        try:
            return str(json.loads((self.state / "applied" / f"{identity}.json").read_text())["digest"])
        except (OSError, ValueError, KeyError):
            return ""

    def changes(self, services: Services, *, whole: bool = False) -> tuple[Change, ...]:
        found = []
        for service in services:
            status = self.supervisor.status(service.id)
            applied = self._applied(service.id)
            if service.job:
                found.append(Change(service.id, "start", "runs once"))
            elif not status.up:
                found.append(Change(service.id, "start", "was down" if applied else "new"))
            elif applied != service.digest():
                found.append(Change(service.id, "restart", "its configuration changed"))
            else:
                found.append(Change(service.id, "same", "runs as described"))
        if whole:
            wanted = {service.id for service in services}
            found += [Change(n, "stop", "no longer described") for n in self.supervisor.names() if n not in wanted]
        return tuple(found)

    def start(self, services: Services, progress: Progress) -> None:
        self._given |= {service.id: service for service in services}
        todo = {c.id for c in self.changes(services) if c.kind != "same"}
        for service in services:  # all of them are looked at before the first one starts
            if service.id in todo:
                self._check(service)
        for service in services:
            if service.id in todo:
                self._check_ports(service)
        self.supervisor.ensure()
        Launch(self, services, todo, progress).run()

    def _check(self, service: Service) -> None:
        """PreconditionError when a program, a limit or a place that it needs is not to be had."""
        for binary in service.binaries:
            self.binaries.find(binary)
        for port in service.ports:
            if port.unix:
                self._socket(service.id, port.name)
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if limit != resource.RLIM_INFINITY and limit < service.limits.files:
            raise PreconditionError(
                f"{service.id} needs {service.limits.files} open files, the hard limit here is {limit}",
                "raise it: `ulimit -Hn` as root, or a line `* hard nofile 65536` in /etc/security/limits.conf",
            )

    def _check_ports(self, service: Service) -> None:
        if self.supervisor.status(service.id).up:
            return  # the port is its own
        self.supervisor.sweep(service.id)
        for port in service.ports:
            if port.unix:
                continue
            number = self._port(service.id, port.name)
            if reserved(number):
                raise PreconditionError(
                    f"{service.role}: port: port {number} of {service.id} is for root alone, and services do not run as root",
                    "choose one from 1024 on in adaf.yaml; what listens on 80 or 443 can pass its visitors on to it",
                )
            if not free(number):
                key = f"{service.role}: port: " if port.number else ""
                other = "choose another port in adaf.yaml"
                if not port.number:
                    other = f"`inv down`, delete {self.addresses.file} and all ports are chosen anew"
                raise PreconditionError(
                    f"{key}port {number} of {service.id} is taken by {holder(number)}", f"stop that process, or {other}"
                )

    def stop(self, ids: Iterable[str], progress: Progress) -> None:
        for identity in ids:
            if identity in self.supervisor.names():
                progress(f"stopping {identity}")
                self.supervisor.remove(identity, self._grace(identity))
            (self.state / "applied" / f"{identity}.json").unlink(missing_ok=True)

    def _grace(self, identity: str) -> float:
        try:
            return float(json.loads((self.state / "applied" / f"{identity}.json").read_text())["grace"])
        except (OSError, ValueError, KeyError):
            return 10.0

    def down(self, *, purge: bool, progress: Progress) -> None:
        rank = ("proxy", "balancer", "app", "cache", "database")  # who asks is stopped before who answers
        roles = {s.id: s.role for s in self.stack.services()}
        names = self.supervisor.names()
        self.stop(sorted(names, key=lambda n: rank.index(roles.get(n, "app"))), progress)
        self.supervisor.end()
        if purge:
            progress(f"deleting {self.state}")
            places.purge(self.state, LOCK)

    def observe(self) -> Mapping[str, Observed]:
        seen = {}
        for identity in self.supervisor.names():
            seen[identity] = self._observe(identity)
        return seen

    def _observe(self, identity: str) -> Observed:
        status = self.supervisor.status(identity)
        record = {}
        path = self.state / "applied" / f"{identity}.json"
        if path.exists():
            record = json.loads(path.read_text())
        reason = ""
        if not status.up:
            how = f"signal {status.signal}" if status.signal else f"exit code {status.code}"
            reason = f"ended with {how} {status.age} s ago" if status.wanted else "stopped"
        elif record.get("probe"):
            reason = probe(Probe(**record["probe"]), record["address"])
        if status.up and reason:
            deaths = self.supervisor.deaths(identity)
            reason += f"; it ended {len(deaths)} times since its start, last with {deaths[-1]}" if deaths else ""
        return Observed(
            identity,
            record.get("role", "app"),
            "up" if status.up else ("failed" if status.wanted else "down"),
            status.up and not reason,
            reason,
            status.pid,
            time.time() - status.age,
            record.get("digest", ""),
            memory.of_session(status.pid) if status.up else 0.0,
        )

    # ------------------------------------------------------------------------------------ releases, logs, doctor

    def package(self, artefact: Path, release: str, image: str, progress: Progress) -> Mapping[str, Json]:
        """The store of built releases is where services read from: nothing to copy on one machine."""
        target = self.state / "releases" / release
        if artefact != target and not target.exists():
            temporary = target.with_name(f".{release}")
            places.remove(temporary)
            shutil.copytree(artefact, temporary, symlinks=True)
            temporary.rename(target)
        return {}

    def logs(self, service: str, lines: int, *, follow: bool = False) -> Iterator[str]:
        known = sorted(path.name for path in (self.state / "logs").glob("*"))
        if service not in known:  # a name, never a path
            raise PreconditionError(f"no service {service}", f"there are: {', '.join(known) or 'none yet'}")
        yield from Log(self.state / "logs" / service).read(lines, follow=follow)

    def kept(self) -> Iterable[Kept]:
        return kept(self)

    def doctor(self) -> Iterable[Finding]:
        try:
            running = self.supervisor.running()
            yield Finding(True, "s6 is installed")
            if not running and not places.used(self.state):  # a fresh checkout lacks nothing
                yield Finding(True, "nothing was started here yet")
            else:
                yield Finding(running, "the supervisor runs" if running else "the supervisor does not run", "inv up")
        except AdafError as exc:
            yield Finding(False, exc.message, exc.hint)
        for binary in {b.name: b for s in (*self.stack.services(), *self._applications()) for b in s.binaries}.values():
            try:
                path = self.binaries.find(binary)
                yield Finding(True, f"{binary.name} {self.binaries.version(binary)} ({path})")
            except AdafError as exc:
                yield Finding(False, exc.message, exc.hint)
