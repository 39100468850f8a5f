"""Roles, database and schema, made where missing.

app_owner   owns database and schemas, nobody logs in as it
app         logs in and becomes app_owner: a second login can take over without a change of ownership
adaf        the pipeline's schema; the application may add to its history, not rewrite it
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from psycopg import sql

from adaf_postgres.client import APP, Connection

OWNER = "app_owner"
_VERIFIER = re.compile(r"SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(.+)")
_LOCK = (0x61646166, 1)  # "adaf"; two prepares at once would trip over each other's catalogue rows


def prepare(session: Connection, database: str, password: str) -> None:
    """In the database ``postgres``, as admin."""
    session.execute("SELECT pg_advisory_lock(%s, %s)", _LOCK)
    for quiet in ("log_min_error_statement = panic", "log_statement = none", "log_min_duration_statement = -1"):
        session.execute(sql.SQL("SET {}").format(sql.SQL(quiet)))  # not even a verifier belongs in a log
    for role in (OWNER, APP):
        if not session.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
            session.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
    rights = sql.SQL("NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS")
    owner, app = sql.Identifier(OWNER), sql.Identifier(APP)
    session.execute(sql.SQL("ALTER ROLE {} NOLOGIN {}").format(owner, rights))
    session.execute(sql.SQL("ALTER ROLE {} LOGIN INHERIT {}").format(app, rights))
    session.execute(sql.SQL("GRANT {} TO {}").format(owner, app))
    session.execute(sql.SQL("ALTER ROLE {} SET role TO {}").format(app, owner))
    _set_password(session, password)
    name = sql.Identifier(database)
    if not session.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone():
        session.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, owner))
    session.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, owner))
    session.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))


def prepare_schema(session: Connection) -> None:
    """In the application's database, as admin."""
    session.execute("SELECT pg_advisory_lock(%s, %s)", _LOCK)
    owner = sql.Identifier(OWNER)
    for statement in (
        "CREATE SCHEMA IF NOT EXISTS public",
        "ALTER SCHEMA public OWNER TO {}",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        "CREATE SCHEMA IF NOT EXISTS adaf",
        "CREATE TABLE IF NOT EXISTS adaf.migrations (name text PRIMARY KEY, checksum text NOT NULL, applied_at "
        "timestamptz NOT NULL DEFAULT clock_timestamp(), seconds double precision NOT NULL, release text NOT NULL)",
        "GRANT USAGE ON SCHEMA adaf TO {}",
        "GRANT SELECT, INSERT ON adaf.migrations TO {}",
    ):
        session.execute(sql.SQL(statement).format(owner))


def _set_password(session: Connection, password: str) -> None:
    """Only when it is another one; as a verifier made here, so that the server never sees the password."""
    row = session.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (APP,)).fetchone()
    if row and row[0] and verifies(row[0], password):
        return
    made = session.pgconn.encrypt_password(password.encode(), APP.encode(), b"scram-sha-256").decode()
    session.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(APP), sql.Literal(made)))


def verifies(verifier: str, password: str) -> bool:
    """Whether a stored SCRAM verifier (RFC 5803) is this password's. Ours are ASCII, so there is no SASLprep."""
    found = _VERIFIER.fullmatch(verifier)
    if not found:
        return False
    iterations, salt, stored, _server = found.groups()
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(iterations))
    key = hmac.digest(salted, b"Client Key", "sha256")
    return hmac.compare_digest(hashlib.sha256(key).digest(), base64.b64decode(stored))
