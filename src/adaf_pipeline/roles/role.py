"""What every backend has, and what it sees of the stack."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import msgspec

from adaf_pipeline.service import Ref, SecretUse, Services, Text

if TYPE_CHECKING:
    from adaf_pipeline.config import Config
    from adaf_pipeline.process import Account
    from adaf_pipeline.roles.app import App
    from adaf_pipeline.roles.runtime import Runtime
    from adaf_pipeline.roles.stores import Cache, Database, Secrets
    from adaf_pipeline.roles.traffic import Balancer, Proxy

RoleName = Literal["runtime", "app", "balancer", "proxy", "database", "cache", "secrets"]
View = Literal["peer", "operator"]  # from inside the stack, or from the host the CLI runs on
Progress = Callable[[str], None]


class StackView(Protocol):
    """What plugins and workflows see of the stack."""

    @property
    def name(self) -> str: ...
    @property
    def checkout(self) -> Path:
        """Where adaf.yaml lies."""

    @property
    def config(self) -> Config: ...
    @property
    def runtime(self) -> Runtime: ...
    @property
    def apps(self) -> Mapping[str, App]: ...
    @property
    def balancer(self) -> Balancer: ...
    @property
    def proxy(self) -> Proxy: ...
    @property
    def database(self) -> Database: ...
    @property
    def cache(self) -> Cache: ...
    @property
    def secrets(self) -> Secrets: ...
    def services(self) -> Services:
        """What the infrastructure wants running: every role's services, amended."""

    @property
    def state(self) -> Path:
        """Where this stack's records live: journals, lock, releases. Not in the checkout."""

    @property
    def account(self) -> Account | None:
        """The system account that runs everything when we are root; None = ourselves."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``inv doctor``: is it all right, what was looked at, and how to mend it."""

    ok: bool
    what: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that a backend has on this host's disk. ``spare``: why nothing needs it any more, and `prune` removes it.

    Data are never spare: who deletes them says so, with ``down --purge``.
    """

    kind: Literal["data", "logs", "records"]
    name: str  # whose it is: a service's id, or what is in it
    path: Path
    spare: str = ""


@dataclass(frozen=True, slots=True)
class Binding:
    """What an application needs to use a database or cache: environment and secret files."""

    environment: Mapping[str, Text]
    secrets: tuple[SecretUse, ...]
    url: SecretUse | None = (
        None  # all of it in one variable (its name is the application's to give); None = no such URL
    )


class NoSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing to set."""


class Role(ABC):  # noqa: B024  the roles themselves have abstract methods
    """What every backend has. ``Settings``: a msgspec.Struct of its keys in adaf.yaml, none unless it says so."""

    Settings: ClassVar[type[Any]] = NoSettings

    def __init__(self, settings: Any, stack: StackView) -> None:
        self.settings = settings
        self.stack = stack

    def services(self) -> Services:
        """What this backend wants running, the applications' colours excepted."""
        return ()

    def amend(self, services: Services) -> Services:
        """All services of the stack, with what this backend adds to others'."""
        return services

    @property
    def endpoints(self) -> Mapping[str, Ref]:
        """Fixed names of this role to the instance Ref that serves them today."""
        return {}

    def kept(self) -> Iterable[Kept]:
        """Pure reads: what this backend has below the stack's directory; `prune` leaves alone what nobody names."""
        return ()

    def doctor(self) -> Iterable[Finding]:
        """Pure reads: what is right and wrong with what this backend needs."""
        return ()
