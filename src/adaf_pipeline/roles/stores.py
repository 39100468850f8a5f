"""What keeps something for the application: database, cache, secrets."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from adaf_pipeline.event import Json
from adaf_pipeline.roles.role import Binding, Progress, Role


class Database(Role):
    """A relational database behind the endpoint ``primary``."""

    @abstractmethod
    def prepare(self) -> None:
        """Create what applications need (role, database, the pipeline's own schema) where missing; idempotent."""

    @abstractmethod
    def query(self, statement: str, *, admin: bool = False) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """Column names and rows of one statement on the current primary, as the application's role or as admin."""

    @abstractmethod
    def migrate(self, files: Iterable[Path], progress: Progress, *, release: str = "") -> list[str]:
        """Apply the SQL files that are not recorded yet, in order, for a release; returns their names.

        Each in a transaction with a lock timeout, unless its first line says ``-- no-transaction``. Raises
        PreconditionError when a recorded file has changed since, ProcessError with file, line and reason on failure.
        """

    @abstractmethod
    def level(self) -> str:
        """The name of the newest applied migration, "" for none."""

    @abstractmethod
    def binding(self) -> Binding:
        """What an application needs to connect."""

    @abstractmethod
    def shell(self, *, admin: bool = False) -> tuple[tuple[str, ...], Mapping[str, str]]:
        """argv and environment of an interactive client on the current primary (no secret in either).

        As the application's role, or the superuser's.
        """


class Cache(Role):
    """A key-value cache behind the endpoint ``primary``."""

    @abstractmethod
    def command(self, *words: str) -> Json:
        """One command on the current primary as admin."""

    @abstractmethod
    def binding(self) -> Binding:
        """What an application needs to connect."""

    @abstractmethod
    def shell(self) -> tuple[tuple[str, ...], Mapping[str, str]]:
        """argv and environment of an interactive client on the current primary (no secret in either)."""


class Secrets(Role):
    """Values that nobody types: generated, versioned, delivered as 0400 files."""

    @abstractmethod
    def ensure(self, names: Iterable[str]) -> tuple[str, ...]:
        """Generate what is missing; returns the names that were made."""

    @abstractmethod
    def path(self, name: str) -> Path:
        """The file that holds the current value. PreconditionError when there is none."""

    @abstractmethod
    def value(self, name: str) -> str:
        """The current value: for a client library's argument, and nothing else."""

    @abstractmethod
    def names(self) -> Mapping[str, int]:
        """Every secret and its current version."""
