"""The replaceable responsibilities. A backend is a class that fills one of these, chosen by name in adaf.yaml.

Every backend is constructed as ``Backend(settings, stack)``: its own ``Settings`` (a msgspec.Struct) already validated,
and a StackView through which it reaches the other roles, late. Constructors do no I/O.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from adaf_pipeline.event import Json
from adaf_pipeline.service import Ref, SecretUse, Service, Services, Text

if TYPE_CHECKING:
    from adaf_pipeline.config import Config
    from adaf_pipeline.process import Account

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
class Binding:
    """What an application needs to use a database or cache: environment and secret files."""

    environment: Mapping[str, Text]
    secrets: tuple[SecretUse, ...]


class Role(ABC):
    """What every backend has."""

    Settings: ClassVar[type[Any]]

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

    def doctor(self) -> Iterable[Finding]:
        """Pure reads: what is right and wrong with what this backend needs."""
        return ()


# ---------------------------------------------------------------------------------------------------- runtime


@dataclass(frozen=True, slots=True)
class Observed:
    """What a service does right now."""

    id: str
    role: str
    state: Literal["up", "down", "failed"]
    ready: bool
    reason: str = ""
    pid: int = 0
    since: float = 0.0  # unix seconds
    digest: str = ""  # of the Service it runs
    memory_mb: float = 0.0
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """What ``start`` would do to a service, and why. ``reload`` keeps the process."""

    id: str
    kind: Literal["start", "restart", "reload", "stop", "same"]
    why: str


class Runtime(Role):
    """Runs Services, and knows where everything is."""

    state: Path
    account: Account | None

    @abstractmethod
    def resolve(self, ref: Ref, view: View = "operator") -> str:
        """The value of a Ref: ``127.0.0.1:21003``, a port number, a path. PreconditionError when it has none yet."""

    @abstractmethod
    def changes(self, services: Services, *, whole: bool = False) -> tuple[Change, ...]:
        """Pure read: what ``start(services)`` would do; ``whole``: what is not among them would be stopped."""

    @abstractmethod
    def start(self, services: Services, progress: Progress) -> None:
        """Make exactly these run as described, in dependency order, what is independent at once, and wait until ready.

        Services that already run as described are left alone; a ``job`` runs to its end. Raises ServiceError with the
        log tail of the one that failed, PreconditionError for a missing program or a port that somebody else has.
        """

    @abstractmethod
    def stop(self, ids: Iterable[str], progress: Progress) -> None:
        """Stop and forget these services (their volumes stay), dependants first. Unknown ids are fine."""

    @abstractmethod
    def down(self, *, purge: bool, progress: Progress) -> None:
        """Stop all and the supervision itself; ``purge`` deletes volumes, releases and records too."""

    @abstractmethod
    def observe(self) -> Mapping[str, Observed]:
        """Pure read: every service the runtime knows, probed now."""

    @abstractmethod
    def package(self, artefact: Path, release: str) -> None:
        """Take an assembled release directory in; from then on services may name it as their ``package``."""

    @abstractmethod
    def logs(self, service: str, lines: int, *, follow: bool = False) -> Iterator[str]:
        """The newest lines of a service's log, oldest first. PreconditionError for an unknown service."""

    def text(self, value: Text, view: View = "operator") -> str:
        """A Text with every Ref resolved."""
        return "".join(part if isinstance(part, str) else self.resolve(part, view) for part in value)


# -------------------------------------------------------------------------------------------------------- app


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


# --------------------------------------------------------------------------------------------------- balancer


@dataclass(frozen=True, slots=True)
class Served:
    """One request as the balancer saw it. ``colour`` is the one it was meant for, also when another one answered."""

    at: float  # unix seconds, when it was accepted
    visitor: str
    colour: str
    server: str
    method: str
    status: int
    retries: int
    request: str  # request id
    seconds: float
    failed: bool  # no or broken answer, 5xx, or saved only by a retry


class RequestLog(Protocol):
    """A reader of the balancer's per-request log from the moment it was opened. Never blocks the balancer."""

    def take(self) -> tuple[Served, ...]:
        """What arrived since the last call."""

    @property
    def missing(self) -> int:
        """Lines known to be lost, unreadable, or gone with a restart: evidence that is incomplete."""

    def close(self) -> None: ...


class Balancer(Role):
    """Splits HTTP visitors between two colours: exact, sticky, and nobody flips back as a share rises."""

    @abstractmethod
    def share(self) -> Mapping[str, float]:
        """Per cent by colour as persisted, 100 in sum; {} when nothing is live yet."""

    @abstractmethod
    def set_share(self, share: Mapping[str, float]) -> None:
        """Write the share down (a restart comes back with it), then make it live, and read it back.

        Per cent by colour, 100 in sum; {} = nothing is live. ValueError otherwise.
        """

    @abstractmethod
    def live_share(self) -> Mapping[str, float]:
        """The share that the running process applies; ServiceError when it cannot be asked."""

    @abstractmethod
    def active(self, colour: str) -> int:
        """Requests in flight on a colour."""

    @abstractmethod
    def log(self) -> AbstractContextManager[RequestLog]:
        """Open the per-request log at its end."""


# ------------------------------------------------------------------------------------------- the other roles


class Proxy(Role):
    """The edge: what visitors connect to."""

    @abstractmethod
    def url(self) -> str:
        """``http://host:port`` without a trailing slash, as visitors reach it."""


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
    def shell(self) -> tuple[tuple[str, ...], Mapping[str, str]]:
        """argv and environment of an interactive client on the current primary (no secret in either)."""


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
