"""The app backend ``python``: the artefact is the application's own files, the interpreter the system's python3."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Annotated

import msgspec
from msgspec import Meta

from adaf_pipeline.config import Environment, UrlPath, Variable
from adaf_pipeline.errors import ConfigError, PreconditionError
from adaf_pipeline.roles import App, Finding, Migrations, Problem, Workplace
from adaf_pipeline.service import Binary, Limits, Port, Probe, Ref, Service, Text, argv, text
from adaf_python import typecheck

PYTHON = Binary("python3", "python3", supported=("3.9", "4"))
SKIPPED = {"__pycache__", "node_modules", "venv"}  # besides everything whose name starts with a dot: .git, .venv, .env
MTIME = 315_532_800  # 1980-01-01: equal inputs give equal artefacts


class PythonApp(App):
    """One program, one process per colour."""

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """``apps: {NAME: {backend: python, ...}}``."""

        entry: Annotated[str, Meta(min_length=1)] = "app.py"
        args: tuple[str, ...] = ()
        port: Variable = "PORT"  # the environment variable that says where to listen
        ready: UrlPath = "/api/health/ready"
        live: UrlPath = "/api/health/live"
        environment: Environment = {}
        memory_mb: Annotated[int, Meta(ge=0, le=1 << 20)] = 0  # 0 = no limit
        migrations: Annotated[str, Meta(pattern="^[^/]")] = (
            "migrations"  # directory of *.sql, applied in the order of their names
        )
        stop_grace: Annotated[float, Meta(ge=0, le=3600)] = 10.0  # s from SIGTERM to SIGKILL
        typecheck: bool = False  # with mypy, which has to be installed beside the pipeline

    settings: Settings

    def check(self) -> None:
        """Entry, syntax, names; requirements are refused: an artefact without them would fail after its deploy."""
        key = f"apps/{self.name}"
        files = self.inputs()
        for name in files:
            if (self.path / name).is_symlink():
                raise PreconditionError(f"{key}: {name} is a symbolic link", "put the file itself there")
        if self.settings.entry not in files:
            raise ConfigError(f"{key}/entry: {self.settings.entry} is not among the files of {self.path}", _near(files))
        for worker, command in self.workers.items():
            if command[0] not in files:
                raise ConfigError(
                    f"{key}/workers/{worker}: {command[0]} is not among the files of {self.path}", _near(files)
                )
        taken = {self.settings.port, "ADAF_RELEASE", "ADAF_COLOUR"} & self.settings.environment.keys()
        if taken:
            raise ConfigError(
                f"{key}/environment/{min(taken)}: the pipeline sets it", "remove it, or choose another port"
            )
        if "requirements.txt" in files and _requires(self.path / "requirements.txt"):
            raise PreconditionError(
                f"{key}: requirements.txt: the python backend does not install requirements yet",
                "put the packages beside the entry and remove the file, or write a backend that builds them",
            )
        for name in files:
            if name.endswith(".py"):
                _compile(self.path / name, f"{key}: {name}")

    def inputs(self) -> tuple[str, ...]:
        """Every file but caches, environments and whatever starts with a dot."""
        return _files(self.path)

    def toolchain(self) -> Mapping[str, str]:
        """The files do not depend on the interpreter, only on how they are laid out."""
        return {"backend": "python", "python": f">={PYTHON.supported[0]},<{PYTHON.supported[1]}"}

    def typecheck(self, place: Workplace) -> tuple[Problem, ...]:
        """mypy with the application's own configuration; () with a word when it is off."""
        if not self.settings.typecheck:
            place.progress(f"{self.name}: no type check (apps/{self.name}/typecheck is false)")
            return ()
        return typecheck.check(place, self.stack.account)

    def build(self, place: Workplace) -> None:
        """Copy, with modes and times that do not depend on the checkout."""
        files = _files(place.source)
        for name in files:
            source, target = place.source / name, place.output / name
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)
            os.utime(target, (MTIME, MTIME))
        for directory, _, _ in os.walk(place.output, topdown=False):
            Path(directory).chmod(0o755)
            os.utime(directory, (MTIME, MTIME))
        with open(place.log, "a") as log:
            log.write(f"{self.name}: {len(files)} files copied\n")
        place.progress(f"{self.name}: {len(files)} files")

    def service(self, colour: str, number: int, release: str) -> Service:
        """What each value means is in the Service's own record; the pipeline's variables win over the bindings'."""
        service, settings = f"{self.name}.{colour}.{number}", self.settings
        bindings = (self.stack.database.binding(), self.stack.cache.binding())
        environment: dict[str, Text] = {"PYTHONDONTWRITEBYTECODE": text("1")}  # a release's directory stays as it is
        for binding in bindings:
            environment |= binding.environment
        environment |= {name: text(value) for name, value in settings.environment.items()}
        environment |= {
            settings.port: text(Ref("instance", service, "http", "port")),
            "ADAF_RELEASE": text(release),
            "ADAF_COLOUR": text(colour),
        }
        entry = text(Ref("path", service, "package"), f"/{settings.entry}")
        return Service(
            id=service,
            role="app",
            argv=argv(Ref("binary", "", PYTHON.name), "-u", entry, *settings.args),
            binaries=(PYTHON,),
            environment=environment,
            ports=(Port("http"),),
            secrets=tuple(dict.fromkeys(use for binding in bindings for use in binding.secrets)),
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
        skipped = (self.settings.port, "ADAF_COLOUR")
        environment = {key: value for key, value in web.environment.items() if key not in skipped}
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
        """mypy, when it is asked for. python3 itself is looked up by the runtime."""
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


def _requires(path: Path) -> bool:
    return any(line.partition("#")[0].strip() for line in path.read_text(errors="replace").splitlines())


def _near(files: tuple[str, ...]) -> str:
    programs = [name for name in files if PurePosixPath(name).suffix == ".py" and "/" not in name]
    return f"there is {', '.join(programs[:5])}" if programs else "it is a path relative to the application's directory"
