"""Makes services run: their entries in the file, their directories on the host, then Compose, and nobody waits in vain."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from adaf_compose import logs, users
from adaf_compose.content import content, folder, in_volumes
from adaf_compose.document import document, dump
from adaf_compose.entry import LABEL, rendered_of
from adaf_compose.observe import LOOP, Container
from adaf_compose.peers import dns, kept, secrets
from adaf_compose.program import ONCE, PROJECT
from adaf_pipeline.errors import PluginError, ServiceError
from adaf_pipeline.host import places
from adaf_pipeline.process import Account
from adaf_pipeline.roles import Progress
from adaf_pipeline.service import Service, Services

if TYPE_CHECKING:
    from adaf_compose.backend import Compose

SAY = 5.0  # seconds between two lines about what is waited for
GRACE = 15.0  # seconds more than its deadline that a service may take: its container has to be made first
JOB = 600.0  # seconds that a job may take which does not say


class Launch:
    """One ``start``. ``todo``: ids that have to be started or made anew; the others only count as there already."""

    def __init__(self, runtime: Compose, services: Services, todo: set[str], progress: Progress) -> None:
        self.runtime, self.progress = runtime, progress
        self.services = [service for service in ordered(services) if service.id in todo]

    def run(self) -> None:
        """Raises the first failure; what became ready before it stays."""
        for service in self.services:
            self._lay(service)
        batch: list[Service] = []
        for service in self.services:
            if service.job:
                self._up(batch)
                batch = []
                self._job(service)
            else:
                batch.append(service)
        self._up(batch)

    # ------------------------------------------------------------------------------------------ what it will find

    def _lay(self, service: Service) -> None:
        """The directories that its container mounts, with their owners; the engine would make them root's."""
        runtime, owner = self.runtime, account(service)
        volumes = places.make(runtime.state / "volumes" / service.id, None)
        sockets = {port.unix for port in service.ports}
        for volume in service.volumes:
            place = volumes / volume.name
            if kept(service, volume) and not place.exists():
                # who uses a socket has another number: it may enter, and what it may not touch is not group's either
                places.make(place, owner, 0o755 if volume.shared or volume.name in sockets else 0o700)
        for file in in_volumes(service, runtime.peers):
            place = volumes / file.volume / file.name
            if not (file.initial and place.exists()):
                places.write(place, file.body, owner, file.mode)
        lay_content(runtime.state, service, content(service, runtime.peers))
        self._deliver(service)

    def _deliver(self, service: Service) -> None:
        """Its secrets, and no others: one that it no longer asks for is not its any more."""
        runtime, owner, wanted = self.runtime, account(service), secrets(service)
        delivered = runtime.state / "delivered" / service.id
        for old in delivered.glob("*"):
            if old.name not in wanted or old.lstat().st_uid != owner.uid:
                old.unlink()
        if wanted:
            places.make(delivered, owner, 0o500)
        for name in wanted:
            places.write(delivered / name, runtime.stack.secrets.value(name), owner, 0o400)

    # ------------------------------------------------------------------------------------------------ services

    def _up(self, batch: list[Service]) -> None:
        """``up -d`` of these, and of nobody else. We do the waiting: ``--wait`` looks twice a second, and at health alone."""
        if not batch:
            return
        runtime, began = self.runtime, time.monotonic()
        runtime.write({dns(service.id): runtime.entry(service) for service in batch})
        names = {service.id for service in batch}
        with runtime.program.asking():
            for container in runtime.containers():
                if container.id in names:  # it may be made anew
                    logs.keep(runtime, container)
        with tempfile.TemporaryFile() as said:  # never a pipe: a full one would stop Compose
            child = runtime.program.compose(
                runtime.file, runtime.project, "up", "-d", *(dns(s.id) for s in batch), sink=said
            )
            try:
                ready = self._watch(batch, child, began)
            finally:
                if child.poll() is None:
                    os.killpg(child.pid, 15)
                child.wait()
            if ready:
                return
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()
        raise ServiceError(
            f"docker compose exited {child.returncode}: {lines[-1] if lines else 'it printed nothing'}",
            f"docker compose -f {runtime.file} up -d --wait says it again",
            detail=lines[-12:],
        )

    def _watch(self, batch: list[Service], child: subprocess.Popen[bytes], began: float) -> bool:
        """Until all answer us, on the addresses that their peers use, or Compose gave up."""
        waiting, said = list(batch), began
        why: dict[str, str] = {}
        rendered = {service.id: rendered_of(self.runtime.entry(service)) for service in batch}
        while waiting:
            ended = child.poll() is not None
            seen = {c.id: c for c in self.runtime.containers()}
            for service in list(waiting):
                here = seen.get(service.id)
                if here is None or here.rendered != rendered[service.id]:
                    continue
                why[service.id] = reason = here.answer() if here.running else "it does not run"
                if here.running and not reason:
                    if not needs(service, waiting):
                        waiting.remove(service)
                        self.progress(f"{service.id} ready in {time.monotonic() - began:.1f} s")
                    continue
                self._hopeless(service, here, reason, began, gave_up=bool(ended and child.returncode))
            if ended and waiting and child.returncode:
                return False
            if time.monotonic() - said > SAY:
                said = time.monotonic()
                names = sorted(service.id for service in waiting)
                self.progress(
                    f"waiting for {', '.join(f'{name} ({why[name]})' if why.get(name) else name for name in names)}"
                )
            time.sleep(0.1)
        return child.wait() == 0

    def _hopeless(self, service: Service, here: Container, reason: str, began: float, *, gave_up: bool) -> None:
        """ServiceError when it ends again and again, or took too long. ``gave_up``: Compose did, for one of them."""
        deadline = service.ready.deadline if service.ready else JOB
        running = time.time() - here.since
        if here.restarts >= LOOP or (gave_up and here.restarts):
            code = "" if here.running else f" (exit code {here.state.get('ExitCode', 0)})"
            reason = f"it ends again and again{code}; last answer: {reason}"
        elif not (here.running and running > deadline) and time.monotonic() - began < 2 * deadline + GRACE:
            return
        found = here.asked()
        where = found[1] if found else "nothing"
        asked = f"GET {found[0].http}" if found and found[0].http else "a connection"
        raise ServiceError(
            f"{service.id} is not ready: waited for {asked} on {where}: {reason}",
            _hint(service, reason),
            detail=self.runtime.tail(service.id),
        )

    # ---------------------------------------------------------------------------------------------------- jobs

    def _job(self, service: Service) -> None:
        """Run to its end, in a file of its own: `up` by hand knows nothing of it. What it prints is in its log."""
        runtime, began, name = self.runtime, time.monotonic(), dns(service.id)
        file = runtime.state / f".job-{name}.yml"
        made = runtime.entry(service)
        made.pop("profiles", None)
        places.write(file, dump(document(runtime.project, runtime.state, {name: made})), mode=0o600)
        log = logs.last(runtime, service.id)
        try:
            with open(log, "wb") as sink:
                child = runtime.program.compose(
                    file, runtime.project, "run", "--rm", "-T", "--no-deps", "--quiet-pull", name, sink=sink
                )
                code = self._ended(service, child)
        finally:
            file.unlink(missing_ok=True)
        if code != 0:
            raise ServiceError(
                f"{service.id} exited {code}", f"inv logs --service {service.id}", detail=runtime.tail(service.id)
            )
        self.progress(f"{service.id} ran in {time.monotonic() - began:.1f} s")

    def _ended(self, service: Service, child: subprocess.Popen[bytes]) -> int:
        seconds = service.ready.deadline if service.ready else JOB
        try:
            return child.wait(seconds)
        except subprocess.TimeoutExpired as exc:
            raise ServiceError(
                f"{service.id} did not end within {seconds:g} s", f"inv logs --service {service.id}"
            ) from exc
        finally:
            if child.poll() is None:
                self._kill(service)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, 9)
                child.wait()

    def _kill(self, service: Service) -> None:
        program = self.runtime.program
        labels = [f"{PROJECT}={self.runtime.project}", f"{ONCE}=True", f"{LABEL}service={service.id}"]
        with program.asking():
            for seen in program.client.containers.list(all=True, filters={"label": labels}):
                seen.remove(force=True)


def lay_content(base: Path, service: Service, files: Mapping[str, tuple[str, int]]) -> list[str]:
    """Write a service's configuration directory below ``base``; the names of the files."""
    place, names = base / folder(service), []
    for name, (body, mode) in files.items():
        places.write(place / name, body, account(service) if mode & 0o077 == 0 else None, mode)
        names.append(f"{place.name}/{name}")
    if place.is_dir():
        for old in place.iterdir():
            if old.is_file() and old.name not in files:
                old.unlink()
    return names


def account(service: Service) -> Account:
    """Whose a service's files are; the host need not know the number."""
    uid = users.uid(service.role)
    return Account(str(uid), uid, uid, Path("/"))


def needs(service: Service, others: Iterable[Service]) -> bool:
    """Whether one of the others has to be there before it."""
    return any(o.id != service.id and {o.id, o.role} & set(service.start_after) for o in others)


def ordered(services: Services) -> list[Service]:
    """Whoever is asked first. PluginError when services wait for each other."""
    waiting, found = list(services), list[Service]()
    while waiting:
        free = [s for s in waiting if not needs(s, waiting)]
        if not free:
            raise PluginError(
                f"services wait for each other: {', '.join(sorted(s.id for s in waiting))}",
                "a plugin has to change the start_after of one",
            )
        found += free
        waiting = [s for s in waiting if s not in free]
    return found


def _hint(service: Service, reason: str) -> str:
    look = f"inv logs --service {service.id}"
    if service.role == "app" and "HTTP 404" in reason:
        return f"`ready` of apps/{service.id.partition('.')[0]} in adaf.yaml names the path that answers 200; {look}"
    return look
