"""What visitors pass on their way to the application: the edge, and the balancer behind it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.roles.role import Role
from adaf_pipeline.service import Ref

COLOURS = ("blue", "green")


def whole_share(share: Mapping[str, float]) -> dict[str, float]:
    """A share with both colours named; {} (nothing is live) stays. ValueError for what is no share."""
    unknown = sorted(set(share) - set(COLOURS))
    if unknown:
        raise ValueError(f"no such colour: {', '.join(unknown)} (there are {' and '.join(COLOURS)})")
    if share and (not all(0 <= part <= 100 for part in share.values()) or abs(sum(share.values()) - 100) > 1e-6):
        raise ValueError(f"shares are per cent and 100 in sum, not {dict(share)}")
    return {colour: float(share.get(colour, 0)) for colour in COLOURS} if share else {}


@dataclass(frozen=True, slots=True)
class Served:
    """One request as the balancer saw it. ``colour`` is the one it was meant for, also when another one answered."""

    at: float  # unix seconds, when it was accepted
    visitor: str
    colour: str
    server: str
    method: str = "GET"
    status: int = 200
    retries: int = 0
    request: str = ""  # request id
    seconds: float = 0.0
    failed: bool = False  # no or broken answer, 5xx, or saved only by a retry


class RequestLog(Protocol):
    """A reader of the balancer's per-request log from the moment it was opened. Never blocks the balancer."""

    def take(self) -> tuple[Served, ...]:
        """What arrived since the last call."""

    @property
    def missing(self) -> int:
        """Lines known to be lost, unreadable, or gone with a restart: evidence that is incomplete."""

    def close(self) -> None: ...


class MemoryLog:
    """A RequestLog that is fed: for a balancer whose requests come by in this process."""

    def __init__(self) -> None:
        self.lines: list[Served] = []
        self.missing = 0

    def take(self) -> tuple[Served, ...]:
        taken, self.lines = tuple(self.lines), []
        return taken

    def close(self) -> None:
        return


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

    def locate(self, instances: Mapping[str, Ref]) -> None:
        """Be sure that visitors of a colour will be sent to where its processes are now.

        Called after they were started, before they get a share. ``instances``: by service id, the port's Ref. On a
        runtime where an address never changes there is nothing to do. ServiceError when it does not learn it.
        """
        return

    @abstractmethod
    def active(self, colour: str) -> int:
        """Requests in flight on a colour."""

    @abstractmethod
    def log(self) -> AbstractContextManager[RequestLog]:
        """Open the per-request log at its end."""


class Proxy(Role):
    """The edge: what visitors connect to."""

    @abstractmethod
    def url(self) -> str:
        """``http://host:port`` without a trailing slash, as visitors reach it."""

    def maintenance(self) -> bool:
        """Whether visitors get the maintenance page."""
        return False

    def set_maintenance(self, on: bool) -> None:
        """Show visitors the maintenance page, or no more; health checks and the pipeline's own probes pass.

        Written down: a restarted edge is as it was. PreconditionError when the edge has no such page.
        """
        raise PreconditionError("this proxy has no maintenance page", "`inv plugins` lists the others")

    def pass_for_probes(self) -> Mapping[str, str]:
        """Headers that make a request one of the pipeline's own: no limit counts it, no maintenance page stops it."""
        return {}
