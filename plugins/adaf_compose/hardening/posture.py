"""What a rule looks at: one container, whether it is an entry of the file or runs already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Where = Literal["plan", "live"]


@dataclass(frozen=True, slots=True)
class Mount:
    """Something of the host, or of the engine's, at ``target``. ``kind``: bind, volume, ..."""

    kind: str
    source: str
    target: str
    read_only: bool = False
    file: bool = False  # a single one: it stays the old one when another takes its name
    propagation: str = "rprivate"


@dataclass(frozen=True, slots=True)
class Published:
    """A port of the container on the host. ``address`` "" = on all of the host's."""

    target: int
    address: str


@dataclass(frozen=True, slots=True)
class Network:
    name: str  # in the file
    internal: bool


@dataclass(frozen=True, slots=True)
class Delivered:
    """A directory of secrets, or a file in it, as it is on the disk."""

    name: str  # "." = the directory
    owner: int
    mode: int  # permission bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Posture:
    """One container. Amounts: bytes, seconds, cores; 0 = none was said."""

    subject: str  # the service's id, or the container's name where it is none of ours
    where: Where
    user: str = ""  # "uid:gid", as said
    groups: tuple[str, ...] = ()  # further ones
    read_only: bool = False
    in_memory: Mapping[str, frozenset[str]] = field(default_factory=dict)  # by target, the mount's options
    dropped: frozenset[str] = frozenset()  # capabilities, without CAP_
    added: frozenset[str] = frozenset()
    options: frozenset[str] = frozenset()  # of security: "no-new-privileges=true", "seccomp=unconfined"
    beyond: tuple[str, ...] = ()  # of the host's: "privileged", "pid: host", "device /dev/kvm"
    memory: int = 0
    with_swap: int = 0  # memory and swap; -1 = as much swap as there is
    cpus: float = 0
    pids: int = 0
    ulimits: Mapping[str, int] = field(default_factory=dict)  # hard ones
    health: bool = False
    log: Mapping[str, str] = field(default_factory=dict)  # "driver", and its options
    restart: str = "no"
    init: bool = False
    stop_signal: str = ""
    stop_grace: float = 0
    networks: tuple[Network, ...] = ()
    published: tuple[Published, ...] = ()
    mounts: tuple[Mount, ...] = ()
    file_secrets: tuple[str, ...] = ()  # those of Compose: it ignores their uid and mode
    delivered: tuple[Delivered, ...] = ()  # what lies in its directory of secrets; of the plan nothing does
    image: str = ""
    fetched: bool = False  # whether the engine may ask a registry for it
    environment: Mapping[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = ()  # of its command and health check, and its labels' values: `docker inspect` shows them


def option(said: str) -> str:
    """One way to say an option of security: Compose takes ``=`` and ``:``, and ``no-new-privileges`` alone."""
    name, _, value = said.replace(":", "=", 1).partition("=")
    return f"{name}={value or 'true'}"


def capability(said: str) -> str:
    return said.upper().removeprefix("CAP_")
