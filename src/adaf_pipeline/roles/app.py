"""The application: how it is checked, built, run, and how it changes its schema."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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
class Migrations:
    """How an application changes its schema: its own command as a job, or plain SQL files in order."""

    job: Service | None = None
    files: tuple[Path, ...] = ()


class App(Role):
    """An application: how it is checked, built and run. Constructed once per entry of ``apps:``."""

    name: str
    path: Path

    @abstractmethod
    def check(self) -> None:
        """Refuse what cannot be built (wrong lock file, wrong versions) before anything is installed."""

    @abstractmethod
    def inputs(self) -> tuple[str, ...]:
        """Relative paths of every file the artefact depends on, sorted."""

    @abstractmethod
    def toolchain(self) -> Mapping[str, str]:
        """Versions and settings that belong to the inputs' hash: node, pnpm, build-time environment."""

    @abstractmethod
    def typecheck(self, place: Workplace) -> tuple[Problem, ...]:
        """Every type error; () when clean."""

    @abstractmethod
    def build(self, place: Workplace) -> None:
        """Assemble a runnable tree in ``place.output``. Raises ProcessError with the tool's own words."""

    @abstractmethod
    def service(self, colour: str, number: int, release: str) -> Service:
        """The process of one colour, running ``release``."""

    @abstractmethod
    def migrations(self, artefact: Path, release: str) -> Migrations:
        """What has to be applied before ``release`` runs."""
