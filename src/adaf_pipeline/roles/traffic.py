"""What visitors pass on their way to the application: the edge, and the balancer behind it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from adaf_pipeline.roles.role import Role

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
