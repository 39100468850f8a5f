"""The runtime: what runs services and knows where everything is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.event import Json
from adaf_pipeline.roles.role import Progress, Role, View
from adaf_pipeline.service import Ref, Services, Text

if TYPE_CHECKING:
    from adaf_pipeline.process import Account

LOCK = "lock"  # the file in a stack's state directory that a run holds


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
class Checked:
    """A rule of hardening (``H01``) as it was found on one service, on the plan or live.

    ``waived``: the reason somebody gave for living with it, until when.
    """

    rule: str
    title: str
    subject: str  # a service id, or "" for the stack
    where: Literal["plan", "live"]
    ok: bool
    found: str = ""
    hint: str = ""
    waived: str = ""


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
    names: str = ""  # the name server that peers are looked up at; "" = they are addresses, which stay

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
        """Stop all and the supervision itself; ``purge`` deletes volumes, releases and records too, the file LOCK last."""

    @abstractmethod
    def observe(self) -> Mapping[str, Observed]:
        """Pure read: every service the runtime knows, probed now."""

    @abstractmethod
    def package(self, artefact: Path, release: str, image: str, progress: Progress) -> Mapping[str, Json]:
        """Take an assembled release directory in; from then on services may name it as their ``package``.

        ``image``: of the processes that will run it, as their Services say it. Returns what the release's record is to
        remember of it: nothing, or ``{"image": "sha256:..."}``.
        """

    def enter(self, service: str) -> tuple[str, ...] | None:
        """The beginning of a command line that runs a program where a service runs, on this terminal.

        None where that is this host: its own programs are to be used. ServiceError when the service does not run.
        """
        return None

    def discard(self, release: str) -> None:
        """Forget what ``package`` made, if anything is left of it: the directory itself is the core's."""
        return

    def security(self) -> Iterable[Checked]:
        """Pure reads: every rule of hardening, on what is planned and on what runs. Empty: there are none here."""
        return ()

    def render(self, services: Services, folder: Path) -> tuple[str, ...]:
        """Write what these services are to the runtime into ``folder``; the names of the files, below it.

        PreconditionError where a runtime has no such files.
        """
        raise PreconditionError("this runtime has no files to render", "`inv plugins` lists the others")

    @abstractmethod
    def logs(self, service: str, lines: int, *, follow: bool = False) -> Iterator[str]:
        """The newest lines of a service's log, oldest first. PreconditionError for an unknown service."""

    def text(self, value: Text, view: View = "operator") -> str:
        """A Text with every Ref resolved."""
        return "".join(part if isinstance(part, str) else self.resolve(part, view) for part in value)
