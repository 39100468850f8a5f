"""psql where the server runs, for a host that has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from adaf_pipeline.service import Ref
from adaf_postgres import server
from adaf_postgres.client import ADMIN, APP

# The password is in neither its argv nor its environment: psql reads it from a file of its user alone, in the container's
# own memory, which goes with the shell. Of the secrets only the superuser's is there, so the application's role is taken on.
_SCRIPT = """\
umask 077
file=$(mktemp /tmp/pgpass.XXXXXX) || exit 1
trap 'rm -f "$file"' EXIT
trap 'exit 129' HUP
trap 'exit 143' TERM
trap '' INT
printf '*:*:*:*:%s\\n' "$(cat "$1")" >"$file"
PGPASSFILE=$file PSQL_HISTORY=/dev/null PGOPTIONS="-c role=$2" PGCONNECT_TIMEOUT=5 psql -h 127.0.0.1 -p "$3" -U "$4" -d "$5"
"""

Resolve = Callable[[Ref, Literal["peer"]], str]


def psql(resolve: Resolve, database: str, *, admin: bool) -> tuple[str, ...]:
    """What is run there: a shell that becomes psql, as the application's role or the superuser's."""
    secret = resolve(Ref("secret", "", server.ADMIN_SECRET), "peer")
    port = resolve(Ref("instance", server.ID, server.PORT, "port"), "peer")
    return ("sh", "-c", _SCRIPT, "psql", secret, ADMIN if admin else APP, port, ADMIN, database)
