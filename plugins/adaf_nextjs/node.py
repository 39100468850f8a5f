"""The app backend ``node``: a server that node runs as it is, with what it depends on and what its build script makes."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import msgspec

from adaf_nextjs import buildenv, builder, lockfile, pnpm, server, tools, tsc
from adaf_nextjs.buildenv import BuildVariables
from adaf_nextjs.project import LOCK, Project
from adaf_nextjs.settings import BUILD_RESERVED, RESERVED, Path_
from adaf_nextjs.workbench import Workbench
from adaf_pipeline.config import Environment, MaybeUrlPath, UrlPath
from adaf_pipeline.errors import AdafError, ConfigError, PreconditionError
from adaf_pipeline.roles import App, Deliveries, Finding, Locked, Migrations, Problem, Workplace, variables
from adaf_pipeline.service import Ref, Service, argv, text

LAYOUT = "1"  # of the artefact
OURS = (".adaf-home", ".adaf-inputs")


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``apps: {NAME: {use: node, ...}}``."""

    entry: Path_ = "server.js"  # what node starts; the build script may make it
    args: tuple[str, ...] = ()
    migrations: Path_ = "migrations"  # folder of *.sql, applied in the order of their names
    build_environment: Environment = {}  # of the build script; no secrets
    build_variables: Annotated[BuildVariables, msgspec.Meta(description="what a build has to be given")] = {}
    environment: Environment = {}  # of the running process; no secrets
    secrets: Annotated[Deliveries, msgspec.Meta(description="variables that hold a secret")] = {}
    ready: UrlPath = "/api/health/ready"
    live: UrlPath = "/api/health/live"
    metrics: MaybeUrlPath = ""  # "" = it has none
    ready_timeout: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 60
    stop_grace: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 20  # s from SIGTERM to SIGKILL
    memory_mb: Annotated[int, msgspec.Meta(ge=0, le=1 << 20)] = 512  # 0 = no limit
    build_timeout: Annotated[float, msgspec.Meta(gt=0, le=86400)] = 1800


class NodeProject(Project):
    """A package.json that need not depend on anything, or not be there."""

    def manifest(self) -> dict[str, Any]:
        return self.read() if (self.path / "package.json").exists() else {}

    @property
    def depends(self) -> bool:
        """Whether there is something to install."""
        return any(self.manifest().get(key) for key in ("dependencies", "devDependencies", "optionalDependencies"))

    @property
    def managed(self) -> bool:
        """Whether pnpm has something to do."""
        return self.depends or "build" in self.scripts() or (self.path / LOCK).exists()


class NodeServer(App):
    """One Node program, one process per replica."""

    Settings = NodeSettings
    settings: NodeSettings

    @property
    def _project(self) -> NodeProject:
        return NodeProject(self.path, f"apps/{self.name}", str(self.path.name))

    @property
    def _tools(self) -> Path:
        return tools.folder(self.stack.state)

    @cached_property
    def _node(self) -> tools.Node:
        return tools.find_node(self._tools, self.stack.account)

    def _pnpm_version(self) -> str:
        return self._project.pnpm_version(pnpm.known(self._tools)) if self._project.managed else ""

    def check(self) -> None:
        """Names, package.json, lock and versions; the entry, unless a build script may make it."""
        key, project, settings = f"apps/{self.name}", self._project, self.settings
        variables.check(key, settings.environment, settings.secrets, (*RESERVED, "HOST"))
        for name in sorted(set(settings.build_environment) & set(BUILD_RESERVED)):
            raise ConfigError(f"{key}/build_environment/{name}: the pipeline sets it", "remove it")
        buildenv.check(key, settings.build_variables, settings.build_environment)
        if project.within:
            raise PreconditionError(
                f"{key}: a part of the workspace {project.root}, which `use: node` cannot build yet",
                f"give it a lock of its own: {project.pnpm('install --ignore-workspace --lockfile-only')}",
            )
        if project.depends:
            project.check_lock()
            project.check_step()
            project.check_modules()
        files = project.inputs()
        wanted = {"entry": settings.entry} | {f"workers/{name}": words[0] for name, words in self.workers.items()}
        for where, name in wanted.items():
            if name not in files and "build" not in project.scripts():
                raise ConfigError(
                    f"{key}/{where}: {name} is not among the files of {self.path}",
                    "a path relative to the application's folder; a `build` script in package.json may make it",
                )
        version = self._pnpm_version()
        if project.wanted_node():
            lockfile.check_node(project, self._node)
        if version and not pnpm.available(version, self._tools, self._node, self.stack.account):
            raise PreconditionError(f"{key}: pnpm {version} is missing", tools.MEND)

    def locked(self) -> Locked:
        """pnpm's lock, where there is something to install."""
        return lockfile.locked(self._project, self._tools, lambda: self._node) if self._project.depends else Locked()

    def inputs(self) -> tuple[str, ...]:
        """Every file below the application but what tools make."""
        return self._project.inputs()

    def toolchain(self) -> Mapping[str, str]:
        """What a build depends on besides the files; node itself only where something may be compiled for it."""
        found = {"backend": f"node {LAYOUT}"}
        if self._project.managed:
            kind = "-".join((platform.system().lower(), platform.machine(), platform.libc_ver()[0] or "libc"))
            found |= {"node": self._node.version, "pnpm": self._pnpm_version(), "platform": kind}
        return found | {"environment": json.dumps(self.settings.build_environment, sort_keys=True)}

    def typecheck(self, place: Workplace) -> tuple[Problem, ...]:
        """tsc, where there is a tsconfig.json."""
        if "tsconfig.json" not in self.inputs():
            place.progress(f"{self.name}: no tsconfig.json: there are no types to check")
            return ()
        return tsc.check(self._installed(place), f"apps/{self.name}", of_next=False)

    def build(self, place: Workplace) -> None:
        """Install, run the build script, keep what production needs; all of it as the building account."""
        project, bench = self._project, self._installed(place)
        if "build" in project.scripts():
            builder.script(bench, project, "build", self.settings.build_timeout)
            if project.depends:
                builder.install(bench, project, self._pnpm_version(), "--prod")
        # not -a: it would keep two names of one file in pnpm's store a hard link, and a release has its own files
        bench.quietly("cp", "-RP", "--preserve=mode,timestamps", "--", "./.", f"{place.output}/")
        bench.quietly("rm", "-rf", "--", *(f"{place.output}/{name}" for name in OURS))
        if not (place.output / self.settings.entry).is_file():
            raise ConfigError(
                f"apps/{self.name}/entry: the build script made no {self.settings.entry}", "look at what it makes"
            )

    def _installed(self, place: Workplace) -> Workbench:
        """The work copy without an earlier build's results, and with its packages."""
        project, account = self._project, self.stack.account
        version = self._pnpm_version()
        program = pnpm.get(version, self._tools, self._node, account, place.progress) if version else Path("/usr/bin")
        store = self._tools / "store"
        bench = Workbench(place, account, self._node, program, store, self.settings.build_environment)
        bench.open()
        ours = {name.partition("/")[0] for name in self.inputs()} | {
            *OURS,
            *(("node_modules",) if project.depends else ()),
        }
        stale = [path.name for path in place.source.iterdir() if path.name not in ours]
        if stale:
            bench.quietly("rm", "-rf", "--", *(f"./{name}" for name in stale))
        if project.depends:
            builder.install(bench, project, version, *(() if "build" in project.scripts() else ("--prod",)))
        return bench

    def service(self, colour: str, number: int, release: str) -> Service:
        """node with the entry."""
        needs = variables.bound(self.stack, self.settings.secrets)
        web = server.service(self.name, self.settings, "", needs, colour, number, release)
        environment = {"HOST": text(Ref("instance", web.id, "http", "host")), **web.environment}
        return replace(web, argv=(*web.argv, *argv(*self.settings.args)), environment=environment)

    def worker(self, name: str, command: tuple[str, ...], release: str) -> Service:
        """node with a script of the release."""
        needs = variables.bound(self.stack, self.settings.secrets)
        return server.worker(self.name, self.settings, "", needs, name, command, release)

    def migrations(self, artefact: Path, release: str) -> Migrations:
        """The SQL files, by name."""
        return Migrations(files=tuple(sorted((artefact / self.settings.migrations).glob("*.sql"))))

    def doctor(self) -> Iterable[Finding]:
        """What a build would refuse, and the node it would take."""
        try:
            self.check()
        except AdafError as exc:
            yield Finding(False, exc.message, exc.hint)
            return
        yield Finding(True, f"apps/{self.name}: can be built with node {self._node.version} ({self._node.path})")
