"""Brings services up in dependency order: what does not depend on each other starts at the same time."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from typing import TYPE_CHECKING
from urllib.parse import quote

from adaf_local import scripts
from adaf_pipeline.errors import PluginError, ServiceError
from adaf_pipeline.host import places, variables
from adaf_pipeline.host.addresses import ports_of_session
from adaf_pipeline.host.probing import probe
from adaf_pipeline.process import spawn
from adaf_pipeline.roles import Progress
from adaf_pipeline.service import SecretUse, Service, Services

if TYPE_CHECKING:
    from adaf_local.backend import Local

SAY = 5.0  # seconds between two lines about what is waited for
DEATHS = 3  # a service that ended this often before it was ready will not get better by waiting


class Launch:
    """One ``start``. ``todo``: ids that have to be started or restarted; the others only count as there already."""

    def __init__(self, runtime: Local, services: Services, todo: set[str], progress: Progress) -> None:
        self.runtime = runtime
        self.services = {service.id: service for service in services}
        self.todo = todo
        self.progress = progress
        self.why: dict[str, str] = {}  # what those that are not ready said last
        self.ended = threading.Event()  # the caller was interrupted: nobody waits for readiness any more

    def _needs(self, service: Service) -> set[str]:
        """``start_after`` names ids or roles; what is not part of this start is not waited for."""
        wanted = set(service.start_after)
        return {o.id for o in self.services.values() if o.id != service.id and (o.id in wanted or o.role in wanted)}

    def run(self) -> None:
        """Raises the first failure after everything that had begun is settled."""
        waiting = {i: self._needs(s) for i, s in self.services.items()}
        running: dict[Future[None], str] = {}
        failure: BaseException | None = None
        said = time.monotonic()
        pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="start")
        try:
            while waiting or running:
                free = [i for i, needs in waiting.items() if not needs] if failure is None else []
                for identity in free:
                    del waiting[identity]
                    running[pool.submit(self._one, self.services[identity])] = identity
                if not running:
                    if failure is None:
                        raise PluginError(
                            f"services wait for each other: {', '.join(sorted(waiting))}",
                            "a plugin has to change the start_after of one",
                        )
                    break
                done, _ = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                if not done and time.monotonic() - said > SAY:
                    said = time.monotonic()
                    names = sorted(running.values())
                    self.progress(
                        f"waiting for {', '.join(f'{n} ({self.why[n]})' if n in self.why else n for n in names)}"
                    )
                for future in done:
                    identity = running.pop(future)
                    failure = failure or future.exception()
                    for needs in waiting.values():
                        needs.discard(identity)
        except BaseException:
            self.ended.set()
            raise
        finally:
            pool.shutdown()
        if failure is not None:
            raise failure

    def _one(self, service: Service) -> None:
        if service.id not in self.todo:
            return
        began = time.monotonic()
        supervisor = self.runtime.supervisor
        if not service.job and supervisor.status(service.id).up:
            supervisor.down(service.id, service.stop_grace)
        self._render(service)
        if service.job:
            self._job(service)
        else:
            self._record(service, "")  # before it runs: who comes after a killed run has to know what it is
            supervisor.define(service.id, self._files(service))
            supervisor.up(service.id)
            self._until_ready(service)
            self._record(service, service.digest())
        self.progress(f"{service.id} {'ran' if service.job else 'ready'} in {time.monotonic() - began:.1f} s")

    def _render(self, service: Service) -> None:
        runtime = self.runtime
        owner = runtime.account
        places.make(runtime.state / "pids", owner, 0o700)
        places.make(runtime.state / "volumes", None)
        volumes = places.make(runtime.state / "volumes" / service.id, None)
        for volume in service.volumes:
            if not (volumes / volume.name).exists():
                places.make(volumes / volume.name, owner, 0o700)
        places.make(runtime.state / "logs", None)
        places.make(runtime.state / "logs" / service.id, owner, 0o755)
        folder = places.make(runtime.state / "services" / service.id, None)
        for file in service.files:
            place = volumes / file.volume / file.name if file.volume else folder / file.name
            if not (file.initial and place.exists()):
                places.write(place, runtime.text(file.body, "peer"), owner if file.volume else None, file.mode)

    def _command(self, service: Service) -> tuple[list[str], dict[str, str]]:
        text = self.runtime.text
        environment = {name: text(value, "peer") for name, value in service.environment.items()}
        return [text(word, "peer") for word in service.argv], environment

    def _around(self, use: SecretUse) -> tuple[str, str]:
        return self.runtime.text(use.before, "peer"), self.runtime.text(use.after, "peer")

    def _files(self, service: Service) -> dict[str, str]:
        runtime = self.runtime
        argv, environment = self._command(service)
        secrets = [
            variables.secret(use.env, runtime.stack.secrets.path(use.name), self._around(use))
            for use in service.secrets
            if use.env
        ]
        pid = runtime.supervisor.pid_file(service.id)
        home = runtime.state / ("releases" if service.package else "services")
        files = {
            "run": scripts.start(
                service=service.id,
                pid=pid,
                signal=service.stop_signal,
                grace=service.stop_grace,
                gate=[runtime.text(word, "peer") for word in service.gate],
                argv=argv,
                environment=environment,
                secrets=secrets,
                files=service.limits.files,
                directory=home / (service.package or service.id),
            ),
            "finish": scripts.finish(pid),
            "timeout-kill": str(int(service.stop_grace * 1000)),
            "log/run": scripts.log(runtime.state / "logs" / service.id),
        }
        if service.stop_signal != "TERM":
            files["down-signal"] = f"SIG{service.stop_signal}"
        return files

    def _until_ready(self, service: Service) -> None:
        if service.ready is None:
            return
        runtime, check = self.runtime, service.ready
        address = self._address(service)
        deadline = time.monotonic() + check.deadline
        reason = "not asked yet"
        while time.monotonic() < deadline and not self.ended.is_set():
            reason = probe(check, address)
            if not reason:
                return
            self.why[service.id] = reason
            deaths = runtime.supervisor.deaths(service.id)
            if len(deaths) >= DEATHS:
                reason = f"it ends again and again ({deaths[-1]}); last answer: {reason}"
                break
            time.sleep(0.05 if time.monotonic() - deadline + check.deadline < 2 else 0.2)
        reason += self._elsewhere(service, address)
        asked = f"GET {check.http}" if check.http else "a connection"
        raise ServiceError(
            f"{service.id} is not ready: waited for {asked} on {address}: {reason}",
            hint_of(service, reason),
            detail=self.tail(service.id),
        )

    def _elsewhere(self, service: Service, address: str) -> str:
        """An application that does not look where it is to listen is the first mistake that everybody makes."""
        pid = self.runtime.supervisor.status(service.id).pid
        ports = ports_of_session(pid) if pid else []
        if not ports or address.rpartition(":")[2] in map(str, ports):
            return ""
        return f"; it listens on port {', '.join(map(str, ports))} instead"

    def _address(self, service: Service) -> str:
        from adaf_pipeline.service import Ref

        assert service.ready is not None
        unix = any(p.unix for p in service.ports if p.name == service.ready.port)
        return self.runtime.resolve(Ref("instance", service.id, service.ready.port, "path" if unix else ""))

    def tail(self, identity: str, lines: int = 12) -> list[str]:
        """The end of a service's log (its logger may be a moment behind)."""
        time.sleep(0.1)
        try:
            return list(deque(self.runtime.logs(identity, lines), maxlen=lines))
        except Exception:  # noqa: BLE001  evidence that cannot be read must not replace the failure
            return []

    def _record(self, service: Service, digest: str) -> None:
        """What is applied; without ``digest`` it is begun, and what is begun is begun anew."""
        ready = asdict(service.ready) if service.ready else None
        record = {
            "digest": digest,
            "role": service.role,
            "grace": service.stop_grace,
            "probe": ready,
            "address": self._address(service) if ready else "",
            "package": service.package,
            "colour": service.colour,
        }
        places.make(self.runtime.state / "applied", None)
        places.write(self.runtime.state / "applied" / f"{service.id}.json", json.dumps(record), mode=0o644)

    def _wait(self, service: Service, child: subprocess.Popen[bytes], seconds: float) -> int:
        """The exit code; ServiceError when it takes too long, or when nobody waits any more."""
        deadline = time.monotonic() + seconds
        while (code := child.poll()) is None:
            if self.ended.wait(0.1) or time.monotonic() > deadline:
                raise ServiceError(f"{service.id} did not end within {seconds:g} s", f"inv logs --service {service.id}")
        return code

    def _job(self, service: Service) -> None:
        """Run to the end; what it prints is in its log like a service's."""
        runtime = self.runtime
        argv, environment = self._command(service)
        for use in service.secrets:
            if use.env:
                value, (before, after) = runtime.stack.secrets.value(use.name), self._around(use)
                environment[use.env] = before + quote(value, safe="") + after if before or after else value
        home = runtime.state / ("releases" if service.package else "services") / (service.package or service.id)
        log = runtime.state / "logs" / service.id / "current"
        log.unlink(missing_ok=True)
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with open(handle, "wb") as sink:  # the folder is the account's: it might have put a link there
            child = spawn(
                argv, account=runtime.account, env=environment, cwd=home, stdout=sink, stderr=sink, session=True
            )
            try:
                code = self._wait(service, child, service.ready.deadline if service.ready else 600.0)
            finally:
                if child.poll() is None:
                    os.killpg(child.pid, 9)
                    child.wait()
        if code != 0:
            raise ServiceError(
                f"{service.id} exited {code}", f"inv logs --service {service.id}", detail=self.tail(service.id)
            )


def hint_of(service: Service, reason: str) -> str:
    """What to do about a service that did not answer as it should: ``reason`` is its last answer."""
    look = f"inv logs --service {service.id}"
    if service.role == "app" and "HTTP 404" in reason:
        return f"`ready` of apps/{service.id.partition('.')[0]} in adaf.yaml names the path that answers 200; {look}"
    return look
