"""Applies SQL files, each once and together with its record."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import psycopg
from psycopg.pq import TransactionStatus

from adaf_pipeline.errors import LockedError, PreconditionError, ProcessError
from adaf_pipeline.roles import Progress
from adaf_postgres.client import Connection, explained
from adaf_postgres.sqlfile import Migration, pending

_LOCK = (0x61646166, 2)
_RECORD = "INSERT INTO adaf.migrations (name, checksum, seconds, release) VALUES (%s, %s, %s, %s)"
_INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
_HOLDER = """
    SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND (classid, objid, objsubid) = (%s, %s, 2)
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def apply(session: Connection, migrations: list[Migration], release: str, wait: float, progress: Progress) -> list[str]:
    """Apply what is missing, one run at a time."""
    with _turn(session, wait, progress):
        done = []
        for migration in pending(migrations, _applied(session)):
            start = time.monotonic()
            (_in_transaction if migration.transactional else _outside_transaction)(session, migration, release)
            # a file may leave its search_path or role behind (pg_dump's do)
            session.execute("RESET ROLE")
            session.execute("RESET ALL")
            progress(f"{migration.name}: applied in {time.monotonic() - start:.1f} s")
            done.append(migration.name)
        return done


def _applied(session: Connection) -> dict[str, str]:
    try:
        return dict(session.execute("SELECT name, checksum FROM adaf.migrations").fetchall())
    except psycopg.errors.UndefinedTable:
        raise PreconditionError("database: the table adaf.migrations is missing", "`inv up` makes it") from None


def _in_transaction(session: Connection, migration: Migration, release: str) -> None:
    start = time.monotonic()
    try:
        session.execute("BEGIN")
        before = session.execute("SELECT pg_current_xact_id()").fetchone()
        session.execute(migration.text.encode())
        still = session.info.transaction_status == TransactionStatus.INTRANS
        if not still or session.execute("SELECT pg_current_xact_id()").fetchone() != before:
            raise ProcessError(
                f"{migration.name}: ends its transaction itself; what it committed stays, and it is not recorded",
                "take COMMIT and ROLLBACK out of it and undo by hand what it did, or begin it with -- no-transaction",
            )
        session.execute(_RECORD, (migration.name, migration.checksum, time.monotonic() - start, release))
        session.execute("COMMIT")
    except psycopg.Error as exc:
        where = f"{migration.name}{migration.line(exc.diag.statement_position)}: "
        raise explained(exc, where, "nothing of this file was applied: correct it and run again") from None
    finally:
        if not session.closed and session.info.transaction_status != TransactionStatus.IDLE:
            session.rollback()


def _outside_transaction(session: Connection, migration: Migration, release: str) -> None:
    """Statements that refuse a transaction. Nobody queues behind CREATE INDEX CONCURRENTLY: no lock timeout."""
    start = time.monotonic()
    session.execute("SET lock_timeout = 0")
    before = {name for (name,) in session.execute(_INVALID).fetchall()}
    try:
        session.execute(migration.text.encode())
    except psycopg.Error as exc:
        where = f"{migration.name}{migration.line(exc.diag.statement_position)}: "
        session.rollback()  # in case it began one
        raise explained(exc, where, _left_behind(session, before)) from None
    if session.info.transaction_status != TransactionStatus.IDLE:
        session.rollback()
        raise ProcessError(f"{migration.name}: leaves a transaction open; it was rolled back", "end it with COMMIT")
    try:
        session.execute(_RECORD, (migration.name, migration.checksum, time.monotonic() - start, release))
    except psycopg.Error as exc:
        where = f"{migration.name}: was applied, but not recorded: "
        raise explained(exc, where, "it will be applied again: make it repeatable (IF NOT EXISTS)") from None


def _left_behind(session: Connection, before: set[str]) -> str:
    said = "it runs without a transaction: what came before the failure may have stayed, and it is not recorded"
    with contextlib.suppress(psycopg.Error):
        left = sorted({name for (name,) in session.execute(_INVALID).fetchall()} - before)
        if left:
            return f"{said}; it left invalid indexes: DROP INDEX {', '.join(left)}; then run again"
    return f"{said}; make it repeatable (IF NOT EXISTS) and run again"


@contextlib.contextmanager
def _turn(session: Connection, wait: float, progress: Progress) -> Iterator[None]:
    """One run at a time. Asked for again and again: a session that waits inside the lock call holds a snapshot, and
    CREATE INDEX CONCURRENTLY of the run it waits for would wait for that snapshot, for ever."""
    deadline = time.monotonic() + wait
    said = False
    while not _one(session, "SELECT pg_try_advisory_lock(%s, %s)", *_LOCK):
        if not said:
            progress("another migration run is at work: waiting for it")
            said = True
        if time.monotonic() > deadline:
            raise LockedError(
                f"another migration run is at work (server process {_one(session, _HOLDER, *_LOCK)})",
                "wait for it to end; when it dies, the server frees its lock",
            )
        time.sleep(0.1)
    try:
        yield
    finally:
        with contextlib.suppress(psycopg.Error):  # the lock ends with its session
            session.execute("SELECT pg_advisory_unlock(%s, %s)", _LOCK)


def _one(session: Connection, statement: str, *values: object) -> object:
    row = session.execute(statement.encode(), values).fetchone()
    return row[0] if row else None
