"""Starts psql: ``python shell.py PASSWORD_FILE HOST PORT DATABASE USER PSQL [ARG...]``.

psql takes a password from its environment or argv, where every process of the account could read it, or from a password
file, which would stay behind on the disk. So the password file is one that has no name: it lives in memory, is open
in psql alone, and ends with it. Run by path, with nothing but the standard library.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main(secret: str, host: str, port: str, database: str, user: str, psql: str, *rest: str) -> None:
    """Becomes psql."""
    fields = [part.replace("\\", "\\\\").replace(":", "\\:") for part in (user, Path(secret).read_text().strip())]
    handle = os.memfd_create("pgpass", 0)  # inherited
    os.fchmod(handle, 0o600)  # libpq ignores a password file that others may read
    os.write(handle, f"*:{port}:*:{fields[0]}:{fields[1]}\n".encode())
    # PGPASSWORD would win over the file, PGHOSTADDR over the host
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment["PGPASSFILE"] = f"/proc/self/fd/{handle}"
    environment["PGCONNECT_TIMEOUT"] = "5"
    os.execve(psql, [psql, "-h", host, "-p", port, "-U", user, "-d", database, *rest], environment)


if __name__ == "__main__":
    main(*sys.argv[1:])
