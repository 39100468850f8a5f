"""The application: how it is checked, built, run, and how it changes its schema."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.roles.role import Progress, Role
from adaf_pipeline.service import Service


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where an application is built: a copy of its inputs that the building account may write to."""

    source: Path  # the copy
    output: Path  # an empty directory to assemble the artefact in
    log: Path  # everything the tools print
    progress: Progress


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding of a type checker."""

    file: str
    line: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a lock file or its surroundings. ``hint``: the command that mends it. ``fix`` does so itself,
    where nothing that somebody wrote can be lost; None = that is for a person."""

    what: str
    hint: str
    detail: tuple[str, ...] = ()
    fix: Callable[[Progress], None] | None = None


@dataclass(frozen=True, slots=True)
class Locked:
    """How an application's packages are locked: by what, in which file; "" = nothing is asked of it."""

    how: str = ""
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Migrations:
    """How an application changes its schema: its own command as a job, or plain SQL files in order."""

    job: Service | None = None
    files: tuple[Path, ...] = ()


class App(Role):
    """An application: how it is checked, built and run. Constructed once per entry of ``apps:``."""

    name: str
    path: Path
    replicas: int = 1  # web processes a colour
    workers: Mapping[str, tuple[str, ...]] = {}  # by name: the command, without the interpreter

    @abstractmethod
    def check(self) -> None:
        """Refuse what cannot be built (wrong lock file, wrong versions) before anything is installed."""

    @property
    def root(self) -> Path:
        """The folder that ``inputs`` are relative to: that of a workspace, where the application is a part of one."""
        return self.path

    @abstractmethod
    def inputs(self) -> tuple[str, ...]:
        """Paths below ``root`` of every file the artefact depends on, sorted."""

    @abstractmethod
    def toolchain(self) -> Mapping[str, str]:
        """Versions and settings that belong to the inputs' hash: node, pnpm, build-time environment."""

    @abstractmethod
    def typecheck(self, place: Workplace) -> tuple[Problem, ...]:
        """Every type error; () when clean."""

    @abstractmethod
    def build(self, place: Workplace) -> None:
        """Assemble a runnable tree in ``place.output``. Raises ProcessError with the tool's own words."""

    def locked(self) -> Locked:
        """What `inv lockfile` asks: each fault that ``check`` would refuse, and what is wrong on this machine besides."""
        return Locked()

    @abstractmethod
    def service(self, colour: str, number: int, release: str) -> Service:
        """One web process of a colour, running ``release``: ``{app}.{colour}.{number}``, numbers from 1."""

    def worker(self, name: str, command: tuple[str, ...], release: str) -> Service:
        """A process beside the web processes, running ``release``: ``{app}.{name}.1``, role ``worker``, no port.

        It has no colour, so there is one of it: whoever starts the next release's ends the one before. ``command`` is
        what adaf.yaml says, without an interpreter.
        """
        raise PreconditionError(
            f"apps/{self.name}/workers/{name}: this backend starts no workers",
            "`inv plugins` lists the backends; give the worker a stack of its own, or remove it",
        )

    @abstractmethod
    def migrations(self, artefact: Path, release: str) -> Migrations:
        """What has to be applied before ``release`` runs."""
