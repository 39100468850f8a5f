"""Sessions on the current primary, and errors in words that help."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from typing import Any

import psycopg

from adaf_pipeline.errors import AdafError, PreconditionError, ProcessError, ServiceError
from adaf_pipeline.roles import StackView
from adaf_pipeline.service import Ref
from adaf_postgres.server import ADMIN_SECRET, APP_SECRET, ID

ADMIN = "postgres"
APP = "app"
Connection = psycopg.Connection[tuple[Any, ...]]

_BLOCKERS = """
    SELECT format('session %s (%s, %s) has a transaction open for %s s', pid, coalesce(nullif(application_name, ''),
                  usename), state, extract(epoch FROM now() - xact_start)::int)
    FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL
    AND pid <> pg_backend_pid() AND backend_type = 'client backend' ORDER BY xact_start LIMIT 5
"""
_LOOK = f"`inv status`, then `inv logs --service {ID}`"


class LockTimeoutError(ProcessError):
    """Another session held the lock for too long."""


def connect(
    stack: StackView, database: str, *, admin: bool = False, statement: float = 0, lock: float = 0
) -> Connection:
    """A session in autocommit mode, through the endpoint. ``statement`` and ``lock``: its limits in seconds, 0 = none."""
    host, port = (stack.runtime.resolve(Ref("endpoint", "database", "primary", part)) for part in ("host", "port"))
    try:
        return psycopg.connect(
            host=host,
            port=port,
            dbname=database,
            user=ADMIN if admin else APP,
            password=stack.secrets.value(ADMIN_SECRET if admin else APP_SECRET),
            connect_timeout=5,
            application_name="adaf-pipeline",
            options=f"-c statement_timeout={int(statement * 1000)} -c lock_timeout={int(lock * 1000)}",
            client_encoding="utf8",
            # said here, or the caller's PG* environment would say it
            hostaddr="",
            sslmode="prefer",
            gssencmode="disable",
            target_session_attrs="any",
            autocommit=True,
        )
    except psycopg.Error as exc:
        raise _no_session(exc, f"{host}:{port}", database, admin) from None


def wait(stack: StackView, seconds: float) -> None:
    """Until a query works. A TCP answer is not enough: a server that recovers accepts connections too."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with connect(stack, "postgres", admin=True) as session:
                session.execute("SELECT 1")
            return
        except ServiceError as exc:
            last: AdafError = exc
        except psycopg.Error as exc:  # it was shut down in between
            last = explained(exc)
        if time.monotonic() > deadline:
            raise ServiceError(f"database: no query worked within {seconds:g} s: {last.message}", _LOOK) from last
        time.sleep(0.1)


@contextlib.contextmanager
def speaking() -> Iterator[None]:
    """Turns psycopg's errors into ours."""
    try:
        yield
    except psycopg.Error as exc:
        raise explained(exc) from None


def explained(exc: psycopg.Error, where: str = "", hint: str = "") -> AdafError:
    """A failed statement. ``where`` stands before the reason; ``hint``: what state this leaves and what to do."""
    said = exc.diag
    reason = said.message_primary or _last_line(exc)
    lost = isinstance(exc, psycopg.OperationalError) and not said.sqlstate
    kind: type[AdafError] = ServiceError if lost else ProcessError
    if isinstance(exc, psycopg.errors.LockNotAvailable):
        kind = LockTimeoutError
        hint = "wait for the sessions that hold it, or end them, and run again (patience: lock_timeout)"
    elif isinstance(exc, psycopg.errors.QueryCanceled):
        hint = hint or "the limit is statement_timeout in the database section"
    detail = [line for line in (said.message_detail, said.context, hint and said.message_hint) if line]
    return kind(
        f"{where}{reason}",
        hint or said.message_hint or (_LOOK if lost else "look at the statement; `inv psql` opens a shell"),
        detail=detail,
    )


def blockers(stack: StackView, database: str) -> list[str]:
    """Who may hold a lock: other sessions with an open transaction, oldest first. Asked as admin: the application's
    roles do not see each other's activity."""
    with connect(stack, database, admin=True, statement=5) as session:
        return [line for (line,) in session.execute(_BLOCKERS).fetchall()]


def _no_session(exc: psycopg.Error, address: str, database: str, admin: bool) -> AdafError:
    reason = _last_line(exc)
    if "password authentication failed" in reason:
        secret = ADMIN_SECRET if admin else APP_SECRET
        mend = "restore the secret the cluster was made with" if admin else "`inv up` sets it in the database again"
        return PreconditionError(f"database: the secret {secret} is not the password of its role", mend)
    if database in reason and "does not exist" in reason:
        return PreconditionError(f"database: {reason}", "`inv up` makes it")
    return ServiceError(f"database: no session at {address}: {reason}", _LOOK)


def _last_line(exc: psycopg.Error) -> str:
    """libpq tells the whole way to the reason; the reason is enough."""
    lines = [line.strip() for line in str(exc).splitlines() if line.strip() and not line.startswith("\t")]
    last = lines[-1] if lines else type(exc).__name__
    return re.split(r"(?:FATAL|ERROR|failed): +", last)[-1]
