"""A Service is what a backend wants running, said without naming a place.

Addresses, paths, secret values and binaries are Refs that the runtime resolves: `local` to a loopback port and a
directory, a container runtime to a service name and a mount. So N backends and M runtimes need N + M pieces of code.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

RefKind = Literal["endpoint", "instance", "path", "secret", "binary"]


@dataclass(frozen=True, slots=True)
class Ref:
    """A late-bound value inside a Text.

    ``endpoint``  owner = role, name = endpoint (``database``, ``primary``): who is behind it may change
    ``instance``  owner = service id, name = port of that service: in the owner's own text where it listens, in any other
                  where it is reached
    ``path``      owner = service id, name = volume, ``package``, or a file of the service
    ``secret``    owner = "", name = secret: the path of the file that holds the value, never the value
    ``binary``    owner = "", name = program (declared in ``Service.binaries``)

    ``part`` picks from an address: ``host``, ``port``, ``path`` (of a unix socket), or "" for ``host:port``.
    For a path it is a sub-path.
    """

    kind: RefKind
    owner: str
    name: str
    part: str = ""


Text = tuple[str | Ref, ...]  # digests are taken unresolved


def text(*parts: str | Ref) -> Text:
    """One argument, environment value or file body."""
    return parts


def argv(*words: str | Ref | Text) -> tuple[Text, ...]:
    """A command line; each word is a string, a Ref or a Text of both."""
    return tuple(word if isinstance(word, tuple) else (word,) for word in words)


def template(body: str, values: Mapping[str, str | Ref | Text]) -> Text:
    """A file body with every ``{{name}}`` replaced. KeyError for a name that has no value."""
    parts: list[str | Ref] = []
    for number, piece in enumerate(re.split(r"\{\{(\w+)\}\}", body)):
        value = values[piece] if number % 2 else piece
        parts += value if isinstance(value, tuple) else (value,)
    return tuple(part for part in parts if part != "")


@dataclass(frozen=True, slots=True)
class Binary:
    """A program a service needs: where distributions put it, and which versions were tried.

    ``search`` holds glob patterns of directories looked at besides the usual ones; ``version`` is the argument that
    prints one; ``supported`` is a half-open range of dotted versions; ``package`` is what to install.
    """

    name: str
    package: str
    supported: tuple[str, str] = ("0", "999")
    search: tuple[str, ...] = ()
    version: str = "--version"


@dataclass(frozen=True, slots=True)
class File:
    """A file rendered before the service starts. ``initial``: only when absent, the service's state from then on."""

    name: str
    body: Text
    mode: int = 0o444
    initial: bool = False
    volume: str = ""  # a file of a volume instead of the service's own configuration directory


@dataclass(frozen=True, slots=True)
class Volume:
    """A directory that outlives the process. ``shared``: others reach a socket in it; ``persistent``: it is data."""

    name: str
    persistent: bool = True
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Port:
    """A port the service listens on; ``unix`` ports are sockets below the (shared) volume of that name.

    ``usual`` is the number that the protocol is known by: a runtime that gives each service an address of its own uses
    it. ``number`` is one on the host, wished by the config; 0 = the runtime chooses one and remembers it.
    """

    name: str
    unix: str = ""  # the volume that holds the socket
    number: int = 0
    public: bool = False  # for visitors: reachable from outside the stack, the others never are
    usual: int = 8080


@dataclass(frozen=True, slots=True)
class Probe:
    """How one looks whether the service answers: ``http`` path on a port, or ``tcp`` connect."""

    port: str
    http: str = ""
    timeout: float = 2.0
    deadline: float = 30.0  # how long a start may take
    host: str = "localhost"  # the Host header


@dataclass(frozen=True, slots=True)
class SecretUse:
    """A secret mounted as a 0400 file, or, where the program knows nothing else, put into the environment."""

    name: str
    env: str = ""  # "" = as a file
    before: Text = ()  # with either of these two the variable is a URL and the value, percent-encoded, a part of it
    after: Text = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What a service may take at most. 0 = what the runtime gives a service that does not say."""

    memory_mb: int = 0  # of the whole process tree
    files: int = 4096  # open ones
    cpus: float = 0  # of one core
    pids: int = 0  # processes and threads
    shared_memory_mb: int = 0  # POSIX shared memory


@dataclass(frozen=True, slots=True)
class Hardening:
    """Where a service needs more than the nothing that it gets, and why.

    ``capabilities``: by name without CAP_, the reason. ``writable``: why its root file system has to be; "" = read-only.
    ``egress``: whether it talks to addresses outside the stack.
    """

    capabilities: Mapping[str, str] = field(default_factory=dict)
    writable: str = ""
    egress: bool = False


@dataclass(frozen=True)
class Service:
    """One thing to run. Immutable; ``digest`` changes when, and only when, a restart would run something else."""

    id: str
    role: str
    argv: tuple[Text, ...]
    binaries: tuple[Binary, ...] = ()
    image: str = ""  # what a container is made of: the name of one of ours (``postgres``), or a reference with a digest
    user: str = ""
    environment: Mapping[str, Text] = field(default_factory=dict)
    files: tuple[File, ...] = ()
    volumes: tuple[Volume, ...] = ()
    ports: tuple[Port, ...] = ()
    secrets: tuple[SecretUse, ...] = ()
    start_after: tuple[str, ...] = ()
    gate: tuple[Text, ...] = ()
    ready: Probe | None = None
    stop_signal: str = "TERM"
    stop_grace: float = 10.0
    limits: Limits = Limits()
    hardening: Hardening = field(default_factory=Hardening)
    metrics: tuple[str, str] | None = None  # port, path
    faults: tuple[str, ...] = ()
    job: bool = False
    package: str = ""  # release id the runtime has packaged
    colour: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """sha256 over the unresolved record (hex, 16 digits)."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


Services = tuple[Service, ...]


def secret_names(services: Services) -> tuple[str, ...]:
    """Every secret that these services mount or refer to, sorted."""
    names = {use.name for service in services for use in service.secrets}
    for service in services:
        texts = (*service.argv, *service.gate, *service.environment.values(), *(file.body for file in service.files))
        names |= {part.name for text_ in texts for part in text_ if isinstance(part, Ref) and part.kind == "secret"}
    return tuple(sorted(names))
