"""The app backend ``python``: the artefact is the application's own files and what they require; python3 the system's."""

from __future__ import annotations

import os
import platform
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from adaf_pipeline.errors import ConfigError, PreconditionError
from adaf_pipeline.process import run
from adaf_pipeline.roles import App, Finding, Migrations, Problem, Workplace, variables
from adaf_pipeline.service import Binary, Limits, Port, Probe, Ref, Service, Text, argv, text
from adaf_python import command, layout, packages, settings, typecheck

PYTHON = Binary("python3", "python3", supported=("3.9", "4"))
SKIPPED = {"__pycache__", "node_modules", "venv"}  # besides everything whose name starts with a dot: .git, .venv, .env
TARGET = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):[A-Za-z_][\w.]*(?:\(.*\))?")  # WSGI and ASGI servers' way


class PythonApp(App):
    """One program, one process per colour."""

    Settings = settings.Settings
    settings: settings.Settings

    def check(self) -> None:
        """Entry, syntax, names, the server's package: what would fail only after a build, or after a deploy."""
        key = f"apps/{self.name}"
        files = self.inputs()
        for name in files:
            if (self.path / name).is_symlink():
                raise PreconditionError(f"{key}: {name} is a symbolic link", "put the file itself there")
        self._check_entry(key, files)
        for worker, words in self.workers.items():
            if words[0] not in files:
                raise ConfigError(
                    f"{key}/workers/{worker}: {words[0]} is not among the files of {self.path}", _near(files)
                )
        taken = {self.settings.port, "ADAF_RELEASE", "ADAF_COLOUR", *(("PYTHONPATH",) if self._requirements else ())}
        variables.check(key, self.settings.environment, self.settings.secrets, taken)
        if self.settings.requirements != "requirements.txt" and self.settings.requirements not in files:
            raise ConfigError(
                f"{key}/requirements: {self.settings.requirements} is not among the files of {self.path}",
                "a path relative to the application's folder",
            )
        for name in files:
            if name.endswith(".py"):
                _compile(self.path / name, f"{key}: {name}")

    def _check_entry(self, key: str, files: tuple[str, ...]) -> None:
        entry, server = self.settings.target, self.settings.server
        if not server:
            if entry not in files:
                raise ConfigError(f"{key}/entry: {entry} is not among the files of {self.path}", _near(files))
            return
        found = TARGET.fullmatch(entry)
        if not found:
            raise ConfigError(f"{key}/entry: {entry} is not MODULE:OBJECT, which {server} needs", "entry: app:app")
        module = found.group(1).replace(".", "/")
        if f"{module}.py" not in files and f"{module}/__init__.py" not in files:
            raise ConfigError(f"{key}/entry: {module}.py is not among the files of {self.path}", _near(files))
        file = self.settings.requirements
        if server not in packages.names(self._required()):
            raise ConfigError(f"{key}/server: {server} is not in {file}", f"add the line  {server}  to {file}")

    @property
    def _requirements(self) -> bool:
        return bool(self._required())

    def _required(self) -> tuple[str, ...]:
        """Every line of the requirements that is one; () where there are none."""
        file = self.settings.requirements
        return packages.lines(self.path / file) if file in self.inputs() else ()

    @cached_property
    def _pip(self) -> packages.Pip:
        python = self.stack.runtime.resolve(Ref("binary", "", PYTHON.name))
        return packages.Pip(python, self._tools, self.stack.account)

    @cached_property
    def _version(self) -> str:
        return self._pip.version()

    def inputs(self) -> tuple[str, ...]:
        """Every file but caches, environments and whatever starts with a dot."""
        return _files(self.path)

    def toolchain(self) -> Mapping[str, str]:
        """Files do not depend on the interpreter, only on how they are laid out; installed packages do."""
        if not self._requirements:
            return {"backend": "python", "python": f">={PYTHON.supported[0]},<{PYTHON.supported[1]}"}
        kind = "-".join((platform.system().lower(), platform.machine(), platform.libc_ver()[0] or "libc"))
        return {"backend": "python 1", "python": self._version, "platform": kind, "file": self.settings.requirements}

    @property
    def _tools(self) -> Path:
        return self.stack.state.parent / "tools"

    def typecheck(self, place: Workplace) -> tuple[Problem, ...]:
        """mypy with the application's own configuration; () with a word when it is off."""
        if not self.settings.typecheck:
            place.progress(f"{self.name}: no type check (apps/{self.name}/typecheck is false)")
            return ()
        return typecheck.check(place, self.stack.account, self._tools)

    def build(self, place: Workplace) -> None:
        """Copy, with modes and times that do not depend on the checkout; then what it requires. All as the account."""
        files = self.inputs()  # and nothing that an earlier build left in the copy
        if self.stack.account is None:
            layout.lay_out(place.source, place.output, list(files))
        else:
            program = Path(layout.__file__).read_text()  # the account may not be able to read it where it lies
            words = [self._pip.python, "-I", "-c", program, str(place.source), str(place.output)]
            run(words, account=self.stack.account, stdin=os.fsencode("\0".join(files)), timeout=600)
        with open(place.log, "a") as log:
            log.write(f"{self.name}: {len(files)} files copied\n")
        place.progress(f"{self.name}: {len(files)} files")
        if self._requirements:
            file, timeout = self.settings.requirements, self.settings.install_timeout
            self._pip.install(place, file, f"apps/{self.name}", timeout)

    def service(self, colour: str, number: int, release: str) -> Service:
        """What each value means is in the Service's own record; the pipeline's variables win over the bindings'."""
        service, settings = f"{self.name}.{colour}.{number}", self.settings
        needs = variables.bound(self.stack, settings.secrets)
        environment: dict[str, Text] = {"PYTHONDONTWRITEBYTECODE": text("1")}  # a release's directory stays as it is
        environment |= needs.environment
        environment["HOST"] = text(Ref("instance", service, "http", "host"))
        environment |= {name: text(value) for name, value in settings.environment.items()}
        environment |= {
            settings.port: text(Ref("instance", service, "http", "port")),
            "ADAF_RELEASE": text(release),
            "ADAF_COLOUR": text(colour),
        }
        if self._requirements:
            environment["PYTHONPATH"] = text(Ref("path", service, "package", packages.FOLDER))
        return Service(
            id=service,
            role="app",
            argv=command.command(Ref("binary", "", PYTHON.name), service, settings),
            binaries=(PYTHON,),
            image="python",
            environment=environment,
            ports=(Port("http"),),
            secrets=needs.secrets,
            start_after=("database", "cache"),
            ready=Probe("http", http=settings.ready),
            stop_grace=settings.stop_grace,
            limits=Limits(memory_mb=settings.memory_mb),
            package=release,
            colour=colour,
            labels={"app": self.name, "live": settings.live},
        )

    def worker(self, name: str, command: tuple[str, ...], release: str) -> Service:
        """python3 with a script of the release."""
        web, identity = self.service("", 1, release), f"{self.name}.{name}.1"
        skipped = (self.settings.port, "HOST", "ADAF_COLOUR")
        environment = {key: value for key, value in web.environment.items() if key not in skipped}
        if self._requirements:
            environment["PYTHONPATH"] = text(Ref("path", identity, "package", packages.FOLDER))
        entry = text(Ref("path", identity, "package"), f"/{command[0]}")
        return replace(
            web,
            id=identity,
            role="worker",
            argv=argv(Ref("binary", "", PYTHON.name), "-u", entry, *command[1:]),
            environment=environment | {"ADAF_WORKER": text(name)},
            ports=(),
            ready=None,
            labels={"app": self.name},
        )

    def migrations(self, artefact: Path, release: str) -> Migrations:
        """The SQL files, by name."""
        return Migrations(files=tuple(sorted((artefact / self.settings.migrations).glob("*.sql"))))

    def doctor(self) -> Iterable[Finding]:
        """mypy and locks of packages, where they are asked for. python3 itself is looked up by the runtime."""
        if self._requirements and "--hash=" not in "".join(self._required()):
            file = self.settings.requirements
            yield Finding(
                True, f"{file} has no hashes: pip-compile --generate-hashes makes every build install the same"
            )
        if self.settings.typecheck:
            yield typecheck.finding()


def _files(root: Path) -> tuple[str, ...]:
    found: list[str] = []
    for directory, below, names in os.walk(root):
        below[:] = [name for name in below if name not in SKIPPED and not name.startswith(".")]
        links = [name for name in below if Path(directory, name).is_symlink()]  # os.walk takes them for directories
        keep = [name for name in [*names, *links] if not name.startswith(".") and not name.endswith(".pyc")]
        found += [Path(directory, name).relative_to(root).as_posix() for name in keep]
    return tuple(sorted(found))


def _compile(path: Path, label: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning about somebody's regex is no reason to refuse
        try:
            compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as exc:
            line = getattr(exc, "lineno", None) or 0
            said = getattr(exc, "msg", None) or str(exc)
            raise PreconditionError(f"{label}:{line}: {said}", "python3 -m py_compile shows the same") from exc


def _near(files: tuple[str, ...]) -> str:
    programs = [name for name in files if PurePosixPath(name).suffix == ".py" and "/" not in name]
    return f"there is {', '.join(programs[:5])}" if programs else "it is a path relative to the application's directory"
