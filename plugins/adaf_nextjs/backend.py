"""The app backend ``nextjs``: built by the project's own pnpm and Next, run as Next's standalone server."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from adaf_nextjs import buildenv, builder, lockfile, pnpm, server, settings, tools, tsc
from adaf_nextjs.project import Project
from adaf_nextjs.workbench import Workbench
from adaf_pipeline.errors import AdafError, ConfigError, PreconditionError
from adaf_pipeline.roles import App, Finding, Locked, Migrations, Problem, Workplace, variables
from adaf_pipeline.service import Service

Shipped = settings.Settings
LAYOUT = "1"  # of the artefact: raised when the same inputs are to give something else


class NextJS(App):
    """One Next.js application, one process per colour."""

    Settings = settings.Settings
    settings: settings.Settings

    _installed: tuple[Path, str] | None = None  # into which work copy, of which inputs

    @property
    def _project(self) -> Project:
        return Project(self.path, f"apps/{self.name}", os.path.relpath(self.path, self.stack.checkout))

    @property
    def _tools(self) -> Path:
        return tools.folder(self.stack.state)

    @property
    def _shipping(self) -> Shipped:
        """With the workers' scripts, which are shipped like the entry."""
        scripts = [command[0] for command in self.workers.values()]
        return msgspec.structs.replace(self.settings, include=tuple(dict.fromkeys((*self.settings.include, *scripts))))

    def _pnpm_version(self) -> str:
        return self._project.pnpm_version(pnpm.known(self._tools))

    def check(self) -> None:
        """Settings, package.json, the lock, versions: everything that can be known without installing."""
        key, project = f"apps/{self.name}", self._project
        settings.check(self.settings, key)
        project.manifest()
        project.check_lock()
        project.check_step()
        version = self._pnpm_version()
        project.check_engines(version)
        project.check_modules()
        files = project.own()
        buildenv.check(key, self.settings.build_variables, self._given(files))
        for name in (shipped.rstrip("/") for shipped in self._shipping.shipped()):
            if not any(file == name or file.startswith(f"{name}/") for file in files):
                scripts = {command[0]: worker for worker, command in self.workers.items()}
                where = "entry" if name == self.settings.entry else "include"
                where = f"workers/{scripts[name]}" if name in scripts else where
                raise ConfigError(f"{key}/{where}: {project.typed(name)} is not among the sources", self._near(name))
        project.check_standalone()
        self._check_tools(tools.find_node(self._tools, self.stack.account), version)

    def _given(self, files: tuple[str, ...]) -> dict[str, str]:
        return buildenv.given(self.path, files, self.settings.build_environment)

    def _unknown(self) -> dict[str, str]:
        files = self._project.own()
        return buildenv.unknown(self.path, files, {**self.settings.build_variables, **self._given(files)})

    def _near(self, name: str) -> str:
        there = sorted(path.name for path in self.path.iterdir() if not path.name.startswith("."))
        close = difflib.get_close_matches(name, there, n=1)
        return f"did you mean {close[0]}?" if close else f"there is: {', '.join(there[:12])}"

    def _check_tools(self, node: tools.Node, version: str) -> None:
        lockfile.check_node(self._project, node)
        if not pnpm.available(version, self._tools, node, self.stack.account):
            raise PreconditionError(f"apps/{self.name}: pnpm {version} is missing", tools.MEND)

    def locked(self) -> Locked:
        """pnpm's lock, and what this machine has of node and pnpm."""
        return lockfile.locked(self._project, self._tools, lambda: tools.find_node(self._tools, self.stack.account))

    @property
    def root(self) -> Path:
        """The workspace, where the application is a part of one."""
        return self._project.root

    def inputs(self) -> tuple[str, ...]:
        """Every file below the root but what tools make: a workspace is installed as a whole."""
        return self._project.inputs()

    def toolchain(self) -> Mapping[str, str]:
        """Everything else that the artefact depends on."""
        found = {
            "backend": f"nextjs {LAYOUT}",
            "node": tools.find_node(self._tools, self.stack.account).version,
            "pnpm": self._pnpm_version(),
            "platform": "-".join((platform.system().lower(), platform.machine(), platform.libc_ver()[0] or "libc")),
            "shipped": json.dumps([*self._shipping.shipped(), self.settings.migrations]),
        }
        return found | {f"env {name}": value for name, value in sorted(self.settings.build_environment.items())}

    def typecheck(self, place: Workplace) -> tuple[Problem, ...]:
        """tsc over the whole project."""
        bench, _ = self._prepared(place)
        return tsc.check(bench, f"apps/{self.name}")

    def build(self, place: Workplace) -> None:
        """Install, build, assemble; all of it as the building account."""
        for name, where in self._unknown().items():
            place.progress(f"{where} uses {name}, which is neither declared nor given: undefined in the bundle")
        bench, project = self._prepared(place)
        builder.build(bench, project, self._shipping)

    def _prepared(self, place: Workplace) -> tuple[Workbench, Project]:
        """A work copy with its packages; what one run has installed it does not look at again."""
        project, account = self._project, self.stack.account
        node, version, build_id = tools.find_node(self._tools, account), self._pnpm_version(), self._build_id()
        program = pnpm.get(version, self._tools, node, account, place.progress)
        environment = {**self.settings.build_environment, "ADAF_BUILD_ID": build_id}
        place = replace(place, source=place.source / project.within)
        bench = Workbench(place, account, node, program, self._tools / "store", environment)
        bench.open()
        if self._installed != (place.source, build_id):
            self._installed = None
            builder.install(bench, project, version)
            self._installed = (place.source, build_id)
        return bench, project

    def _build_id(self) -> str:
        """A name for these inputs that is the same on every machine: Next puts it into the addresses of its files."""
        total = hashlib.sha256(json.dumps(dict(self.toolchain()), sort_keys=True).encode())
        for name in self.inputs():
            path = self.root / name
            content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
            total.update(f"{name}\0{len(content)}\0".encode() + content)
        return total.hexdigest()[:16]

    def service(self, colour: str, number: int, release: str) -> Service:
        """Next's server, or the entry that wraps it."""
        needs = variables.bound(self.stack, self.settings.secrets)
        return server.service(self.name, self.settings, self._project.within, needs, colour, number, release)

    def worker(self, name: str, command: tuple[str, ...], release: str) -> Service:
        """node with a script of the release."""
        needs = variables.bound(self.stack, self.settings.secrets)
        return server.worker(self.name, self.settings, self._project.within, needs, name, command, release)

    def migrations(self, artefact: Path, release: str) -> Migrations:
        """The SQL files, by name."""
        return Migrations(
            files=tuple(sorted((artefact / self._project.within / self.settings.migrations).glob("*.sql")))
        )

    def doctor(self) -> Iterable[Finding]:
        """What a build would refuse, and the tools it would take."""
        try:
            self.check()
            node, version = tools.find_node(self._tools, self.stack.account), self._pnpm_version()
        except AdafError as exc:
            yield Finding(False, exc.message, exc.hint)
            return
        yield Finding(True, f"apps/{self.name}: can be built with node {node.version} ({node.path})")
        for name, where in self._unknown().items():
            hint = f"declare it: apps/{self.name}/build_variables/{name}"
            yield Finding(False, f"{where} uses {name}, which is neither declared nor given", hint)
        there = pnpm.find(version, self._tools, node, self.stack.account)
        yield Finding(True, f"pnpm {version} ({there})" if there else f"pnpm {version} is installed by the first build")
