"""An in-memory runtime, and the contract that it and the real ones keep."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from adaf_pipeline.errors import PreconditionError, ServiceError
from adaf_pipeline.event import Json
from adaf_pipeline.roles import Change, Checked, Observed, Progress, Runtime, View
from adaf_pipeline.service import Binary, File, Port, Probe, Ref, Service, Services, Volume, argv, text


class FakeRuntime(Runtime):
    """Runs nothing, remembers everything. Tests set ``sick`` (id to reason) and ``broken`` (id to reason of no start)."""

    def __init__(self, settings: Any, stack: Any) -> None:
        super().__init__(settings, stack)
        self.running: dict[str, Service] = {}
        self.started: list[str] = []
        self.sick: dict[str, str] = {}
        self.broken: dict[str, str] = {}
        self.account = None
        self.packaged: set[str] = set()
        self._pids: dict[str, int] = {}

    @cached_property
    def state(self) -> Path:  # type: ignore[override]
        place: Path = self.stack.checkout / ".adaf" / "state"
        place.mkdir(parents=True, exist_ok=True)
        return place

    def resolve(self, ref: Ref, view: View = "operator") -> str:
        if ref.kind == "endpoint":
            target = getattr(self.stack, ref.owner).endpoints.get(ref.name)
            if target is None:
                raise PreconditionError(f"{ref.owner} has no endpoint {ref.name}")
            return self.resolve(replace(target, part=ref.part or target.part), view)
        if ref.kind == "secret":
            return str(self.stack.secrets.path(ref.name))
        if ref.kind == "binary":
            return f"/usr/bin/{ref.name}"
        if ref.kind == "path" or ref.part == "path":
            return str(self.state / ref.owner / ref.name / ref.part)
        port = 20000 + sum(f"{ref.owner}.{ref.name}".encode()) % 10000
        return {"host": "127.0.0.1", "port": str(port)}.get(ref.part, f"127.0.0.1:{port}")

    def changes(self, services: Services, *, whole: bool = False) -> tuple[Change, ...]:
        found = []
        for service in services:
            now = self.running.get(service.id)
            if now is None or service.job:
                found.append(Change(service.id, "start", "new"))
            elif now.digest() == service.digest():
                found.append(Change(service.id, "same", ""))
            else:
                found.append(Change(service.id, "restart", "its configuration changed"))
        if whole:
            wanted = {service.id for service in services}
            found += [Change(name, "stop", "no longer described") for name in self.running if name not in wanted]
        return tuple(found)

    def start(self, services: Services, progress: Progress) -> None:
        todo = {change.id for change in self.changes(services) if change.kind != "same"}
        waiting = [service for service in services if service.id in todo]
        while waiting:
            held = {o.id for o in waiting} | {o.role for o in waiting}
            service = next((s for s in waiting if not set(s.start_after) & (held - {s.id, s.role})), waiting[0])
            waiting.remove(service)
            if service.id in self.broken:
                raise ServiceError(f"{service.id} is not ready: {self.broken[service.id]}")
            self.started.append(service.id)
            if not service.job:
                self.running[service.id] = service
                self._pids[service.id] = len(self.started)
                progress(f"{service.id} ready")

    def stop(self, ids: Iterable[str], progress: Progress) -> None:
        for name in ids:
            self.running.pop(name, None)

    def down(self, *, purge: bool, progress: Progress) -> None:
        self.running.clear()
        if purge:
            shutil.rmtree(self.state)

    def observe(self) -> Mapping[str, Observed]:
        return {
            name: Observed(
                name,
                service.role,
                "up",
                name not in self.sick,
                self.sick.get(name, ""),
                self._pids[name],
                time.time(),
                service.digest(),
            )
            for name, service in self.running.items()
        }

    def package(self, artefact: Path, release: str, image: str, progress: Progress) -> Mapping[str, Json]:
        self.packaged.add(release)
        return {"image": f"sha256:fake-{release}"}

    def discard(self, release: str) -> None:
        self.packaged.discard(release)

    def security(self) -> Iterable[Checked]:
        yield Checked("H01", "has a user of its own", "", "plan", ok=True)
        yield Checked(
            "H02", "has no more rights than it needs", "web.blue.1", "live", False, "all of them", "drop them"
        )

    def render(self, services: Services, folder: Path) -> tuple[str, ...]:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "services").write_text("".join(f"{service.id}\n" for service in services))
        return ("services",)

    def logs(self, service: str, lines: int, *, follow: bool = False) -> Iterator[str]:
        if service not in self.running:
            raise PreconditionError(f"no service {service}", f"there are: {', '.join(self.running) or 'none yet'}")
        yield f"{service}: a line"


SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = open(os.environ["GREETING_FILE"], "rb").read() + str(os.getpid()).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): print("asked", self.path, flush=True)
http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""

PYTHON = Binary("python3", "python3", ("3.9", "4"))


def web(name: str = "contract.1", greeting: str = "hello", after: tuple[str, ...] = ()) -> Service:
    """A small real service: a web server in Python."""
    return Service(
        name,
        "app",
        argv(Ref("binary", "", "python3"), "-u", Ref("path", name, "server.py")),
        binaries=(PYTHON,),
        image="python",
        environment={
            "HOST": (Ref("instance", name, "http", "host"),),
            "PORT": (Ref("instance", name, "http", "port"),),
            "GREETING_FILE": (Ref("path", name, "greeting"),),
        },
        files=(File("server.py", text(SERVER)), File("greeting", text(greeting))),
        volumes=(Volume("data"),),
        ports=(Port("http"),),
        ready=Probe("http", http="/", deadline=15),
        start_after=after,
        stop_grace=2,
    )


class RuntimeContract:
    """Subclass it and override ``runtime``. It starts and stops real services where the runtime is real."""

    real = True

    @pytest.fixture
    def runtime(self) -> Runtime:
        raise NotImplementedError

    @staticmethod
    def quiet(_message: str) -> None:
        return

    def test_a_service_is_new_then_the_same_then_changed(self, runtime: Runtime) -> None:
        """`changes`: a pure read of what `start` would do; ``whole``: what is not among them would be stopped."""
        service, other = web(), web(greeting="good day")
        assert [c.kind for c in runtime.changes((service,))] == ["start"]
        runtime.start((service,), self.quiet)
        assert [c.kind for c in runtime.changes((service,))] == ["same"]
        assert [c.kind for c in runtime.changes((other,))] == ["restart"]
        assert ("contract.1", "stop") in [(c.id, c.kind) for c in runtime.changes((), whole=True)]
        runtime.stop(["contract.1"], self.quiet)
        assert [c.kind for c in runtime.changes((service,))] == ["start"]

    def test_start_is_idempotent_and_restarts_only_what_changed(self, runtime: Runtime) -> None:
        """`start`: exactly these run as described; what already does is left alone."""
        runtime.start((web(), web("contract.2")), self.quiet)
        before = runtime.observe()
        runtime.start((web(), web("contract.2", greeting="changed")), self.quiet)
        after = runtime.observe()
        assert after["contract.1"].pid == before["contract.1"].pid
        assert after["contract.2"].pid != before["contract.2"].pid
        assert after["contract.2"].digest == web("contract.2", greeting="changed").digest()

    def test_what_is_started_is_up_and_ready(self, runtime: Runtime) -> None:
        """`start` waits until ready; `observe`: every service, probed now."""
        runtime.start((web(),), self.quiet)
        seen = runtime.observe()["contract.1"]
        assert (seen.state, seen.ready, seen.role) == ("up", True, "app")
        assert seen.pid > 0

    def test_what_did_not_become_ready_is_known_for_what_it_is(self, runtime: Runtime) -> None:
        """`observe`: its role, from before it starts: a run that dies in a start leaves no worker that nobody counts."""
        deaf = argv(Ref("binary", "", "python3"), "-c", "import time; time.sleep(60)")
        service = replace(web(), role="worker", argv=deaf, ready=Probe("http", http="/", deadline=0.5))
        with contextlib.suppress(ServiceError):
            runtime.start((service,), self.quiet)
        assert runtime.observe()["contract.1"].role == "worker"
        runtime.stop(["contract.1"], self.quiet)

    def test_what_is_stopped_is_forgotten_and_stopping_twice_is_fine(self, runtime: Runtime) -> None:
        """`stop`: stops and forgets; unknown ids are fine."""
        runtime.start((web(),), self.quiet)
        runtime.stop(["contract.1", "never.1"], self.quiet)
        runtime.stop(["contract.1"], self.quiet)
        assert "contract.1" not in runtime.observe()

    def test_dependants_start_after_what_they_name_by_id_or_role(self, runtime: Runtime) -> None:
        """`start`: in dependency order."""
        order: list[str] = []
        services = (web("late.1", after=("early.1",)), web("early.1"), web("last.1", after=("late.1",)))
        runtime.start(services, lambda message: order.append(message.split()[0]))
        assert [name for name in order if name in {"late.1", "early.1", "last.1"}] == ["early.1", "late.1", "last.1"]

    def test_an_instance_has_one_address_in_all_its_parts(self, runtime: Runtime) -> None:
        """`resolve`: the value of a Ref to what runs, whole or in parts, and the same each time."""
        runtime.start((web(), web("contract.2")), self.quiet)
        whole = runtime.resolve(Ref("instance", "contract.1", "http"))
        host, port = (runtime.resolve(Ref("instance", "contract.1", "http", part)) for part in ("host", "port"))
        assert whole == f"{host}:{port}"
        assert runtime.resolve(Ref("instance", "contract.1", "http")) == whole
        assert runtime.resolve(Ref("instance", "contract.2", "http")) != whole

    def test_an_unknown_endpoint_is_a_precondition(self, runtime: Runtime) -> None:
        """`resolve`: PreconditionError when a Ref has no value yet."""
        with pytest.raises(PreconditionError, match="no endpoint nowhere"):
            runtime.resolve(Ref("endpoint", "database", "nowhere"))

    def test_logs_of_an_unknown_service_are_a_precondition(self, runtime: Runtime) -> None:
        """`logs`: PreconditionError for an unknown service."""
        with pytest.raises(PreconditionError, match=r"no service nothing\.1"):
            list(runtime.logs("nothing.1", 5))

    def test_a_running_service_has_logs(self, runtime: Runtime) -> None:
        """`logs`: the newest lines of a service."""
        runtime.start((web(),), self.quiet)
        deadline = time.monotonic() + 5
        while not (lines := list(runtime.logs("contract.1", 5))) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert lines

    def test_a_job_runs_each_time_and_does_not_stay(self, runtime: Runtime) -> None:
        """`start`: a ``job`` runs to its end, and each time."""
        job = replace(web("job.1"), job=True, ready=None, argv=argv(Ref("binary", "", "python3"), "-c", "print('ran')"))
        runtime.start((job,), self.quiet)
        assert "job.1" not in runtime.observe()
        assert [c.kind for c in runtime.changes((job,))] == ["start"]

    def test_a_release_that_was_taken_in_can_be_run(self, runtime: Runtime, tmp_path: Path) -> None:
        """`package`: from then on services may name the release as theirs; taking it in twice is fine."""
        artefact = tmp_path / "artefact"
        artefact.mkdir()
        (artefact / "server.py").write_text(SERVER)
        (artefact / "greeting").write_text("packaged")
        for _ in range(2):
            runtime.package(artefact, "0123456789ab", "python", self.quiet)
        place = Ref("path", "contract.1", "package")
        service = replace(
            web(),
            package="0123456789ab",
            argv=argv(Ref("binary", "", "python3"), "-u", text(place, "/server.py")),
            environment={**web().environment, "GREETING_FILE": text(place, "/greeting")},
            files=(),
        )
        runtime.start((service,), self.quiet)
        assert runtime.observe()["contract.1"].ready

    def test_what_was_packaged_can_be_forgotten_twice(self, runtime: Runtime, tmp_path: Path) -> None:
        """`discard`: whether something is left of it or not."""
        (tmp_path / "artefact").mkdir()
        (tmp_path / "artefact" / "server.py").write_text(SERVER)
        runtime.package(tmp_path / "artefact", "ba9876543210", "python", self.quiet)
        for _ in range(2):
            runtime.discard("ba9876543210")

    def test_a_runtime_with_files_writes_them_and_any_other_says_so(self, runtime: Runtime, tmp_path: Path) -> None:
        """`render`: the names of the files that it wrote, or a PreconditionError."""
        try:
            names = runtime.render((web(),), tmp_path / "out")
        except PreconditionError as exc:
            assert exc.hint
            return
        assert names
        assert all((tmp_path / "out" / name).is_file() for name in names)

    def test_a_program_runs_where_the_service_does(self, runtime: Runtime) -> None:
        """`enter`: the beginning of a command line, or None."""
        runtime.start((web(),), self.quiet)
        entered = runtime.enter("contract.1")
        if entered is not None:
            done = subprocess.run([*entered, "sh", "-c", "echo $0 is here", "it"], capture_output=True, text=True)
            assert (done.returncode, done.stdout.strip()) == (0, "it is here")
            with pytest.raises(ServiceError):
                runtime.enter("never.1")

    def test_rules_of_hardening_are_named_and_a_failed_one_has_a_hint(self, runtime: Runtime) -> None:
        """`security`: pure reads; () where there are no rules."""
        for checked in runtime.security():
            assert checked.rule and checked.title and checked.where in {"plan", "live"}
            assert checked.ok or checked.hint

    def test_a_text_is_its_words_with_every_ref_resolved(self, runtime: Runtime) -> None:
        """`text`: strings as they are, Refs as `resolve` gives them."""
        runtime.start((web(),), self.quiet)
        ref = Ref("instance", "contract.1", "http")
        assert runtime.text(text("http://", ref, "/")) == f"http://{runtime.resolve(ref)}/"

    def test_down_stops_all_and_purge_leaves_nothing(self, runtime: Runtime) -> None:
        """`down`: stops everything, and what is stopped can be started again; ``purge`` deletes the records too."""
        runtime.start((web(),), self.quiet)
        runtime.down(purge=False, progress=self.quiet)
        assert not [seen for seen in runtime.observe().values() if seen.state == "up"]
        runtime.start((web(),), self.quiet)
        assert runtime.observe()["contract.1"].ready
        runtime.down(purge=True, progress=self.quiet)
        assert not runtime.state.exists()
