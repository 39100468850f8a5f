"""Where the applications are, on a runtime that gives a started process a new address under its old name."""

from __future__ import annotations

import time
from collections.abc import Mapping

from adaf_haproxy.control import Control
from adaf_pipeline.errors import ServiceError

WITHIN = 10.0  # seconds in which a name that was gone has to be found again; it takes about one
LOOK = 0.1
NAMELESS = 0x20  # of srv_admin_state: in maintenance, as its name is nobody's


def resolvers(server: str) -> str:
    """The section for haproxy.cfg. ``server``: ``host:port`` of the name server.

    A name that is gone is a process that was stopped; a name server that says nothing says nothing of the processes.
    """
    hold = {"valid": "500ms", "nx": "500ms", "other": "500ms", "refused": "30s", "timeout": "30s"}
    lines = [f"nameserver engine {server}", "timeout resolve 500ms", "timeout retry 500ms"]
    lines += [f"hold {what} {how_long}" for what, how_long in hold.items()]
    return "\n    ".join(["resolvers peers", *lines]) + "\n\n"


# allow-dup-ip: each process is there twice, and the second one would never get an address that the first one has
DEFAULTS = "    default-server resolvers peers init-addr last,libc,none resolve-prefer ipv4 resolve-opts allow-dup-ip\n"


def server_name(identity: str) -> str:
    """The server that stands for a web process: ``blue-1`` of ``web.blue.1``."""
    _app, colour, number = identity.split(".")
    return f"{colour}-{number}"


def wait(control: Control, expected: Mapping[str, str], within: float = WITHIN) -> None:
    """Until both servers of each process are where it is. ``expected``: address by service id.

    Not told, but waited for: haproxy refuses `set server addr` while a server's name is unknown to it.
    """
    deadline = time.monotonic() + within
    while late := [name for name in expected if not _found(control.servers(), server_name(name), expected[name])]:
        if time.monotonic() > deadline:
            raise ServiceError(
                f"haproxy does not find {late[0]} at {expected[late[0]]} within {within:g} s",
                "`inv logs --service balancer.1`, then the same command again",
            )
        time.sleep(LOOK)


def _found(servers: Mapping[str, tuple[str, int]], name: str, address: str) -> bool:
    rows = [servers.get(each, ("-", 0)) for each in (name, f"{name}-once")]
    return all(seen == address and not state & NAMELESS for seen, state in rows)
