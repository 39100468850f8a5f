"""HAProxy's runtime API: one command per connection to its admin socket."""

from __future__ import annotations

import csv
import re
import socket

from adaf_pipeline.errors import ServiceError

TIMEOUT = 3.0
LOOK = "inv status; inv logs --service balancer.1"


class Control:
    """Commands to the running process; ServiceError when it cannot be asked."""

    def __init__(self, path: str) -> None:
        self.path = path

    def connect(self, command: str) -> socket.socket:
        """A connection on which the command was sent."""
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(TIMEOUT)
            connection.connect(self.path)
            connection.sendall(command.encode() + b"\n")
        except OSError as exc:
            connection.close()
            raise ServiceError(
                f"haproxy does not answer on its admin socket: {exc.strerror or exc}",
                "`inv status` says whether balancer.1 runs, `inv logs --service balancer.1` why not",
            ) from exc
        return connection

    def ask(self, command: str) -> str:
        """The whole answer to a command."""
        answer = bytearray()
        with self.connect(command) as connection:
            try:
                while chunk := connection.recv(65536):
                    answer += chunk
            except OSError as exc:
                raise ServiceError(f"haproxy did not answer `{command}`: {exc.strerror or exc}", LOOK) from exc
        return answer.decode(errors="replace").strip()

    def green(self) -> int:
        """The threshold that the process applies."""
        answer = self.ask("get var proc.green")
        found = re.search(r"value=<(-?\d+)>", answer)
        if not found:
            raise ServiceError(
                f"haproxy has no share: {answer}", "`inv down`, then `inv up`: it starts with what is written down"
            )
        return int(found[1])

    def set_green(self, threshold: int) -> None:
        """Apply a threshold; the next request obeys it."""
        # `set var` counts as experimental; what is said on this connection holds for it alone
        answer = self.ask(f"experimental-mode on; set var proc.green int({threshold})")
        live = self.green()
        if live != threshold:
            raise ServiceError(f"haproxy did not take the share: it has {live}, not {threshold}: {answer}", LOOK)

    def active(self, colour: str) -> int:
        """Requests in flight on the servers of a colour."""
        rows = csv.DictReader(self.ask("show stat app 4 -1").removeprefix("# ").splitlines())
        return sum(int(row["scur"]) for row in rows if row["svname"].partition("-")[0] == colour)

    def servers(self) -> dict[str, tuple[str, int]]:
        """Address ("-" = none yet) and administrative state (bits) of each server, by name."""
        _version, head, *rows = self.ask("show servers state app").splitlines()
        columns = head.removeprefix("# ").split()
        found = [dict(zip(columns, row.split(), strict=False)) for row in rows]
        return {row["srv_name"]: (row["srv_addr"], int(row["srv_admin_state"])) for row in found}

    def dropped(self, ring: str) -> int:
        """Lines the ring had to drop and has not announced to its readers yet."""
        found = re.search(rf"^\s*{ring}\s*:.*?(\d+) dropped", self.ask("show events"), re.MULTILINE)
        return int(found[1]) if found else 0
