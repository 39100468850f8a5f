"""PostgreSQL on the local runtime: accounts, migrations, and what the server survives."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from driving import until
from stores import leaks, logged, lose_supervisor, pid, restarted, secrets, terminal, volume, watching

from adaf_pipeline.errors import LockedError, PreconditionError, ProcessError, ServiceError
from adaf_pipeline.host import places
from adaf_pipeline.process import run, spawn
from adaf_pipeline.service import Ref
from adaf_pipeline.stack import Stack
from adaf_pipeline.testing.stack import quiet, real_stack, start_roles
from adaf_postgres import client as sessions
from adaf_postgres.backend import Postgres

ID = "database.1"
SECTIONS = {"database": {"use": "postgres", "memory_mb": 128, "migration_wait": 20}, "secrets": "files"}


@pytest.fixture(scope="module")
def seen() -> set[str]:
    """Processes that showed a secret while the server was made and started."""
    return set()


@pytest.fixture(scope="module")
def stack(seen: set[str]) -> Iterator[Stack]:
    """One server for all; each test finds its database without schemas, so without history."""
    with real_stack(**SECTIONS) as made:
        made.secrets.ensure(["database-admin", "database-app"])
        with watching(secrets(made), seen):
            start_roles(made, "database")
            made.database.prepare()
        for statement in ("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"):  # only a power cut would tell
            made.database.query(statement, admin=True)
        yield made


@pytest.fixture
def other() -> Iterator[Stack]:
    """A second stack that was never started."""
    with real_stack(**SECTIONS) as made:
        yield made


@pytest.fixture
def prepared(stack: Stack) -> Postgres:
    stack.database.query("DROP SCHEMA IF EXISTS public, adaf CASCADE", admin=True)
    stack.database.prepare()
    return variant(stack.database)


@pytest.fixture
def migrate(prepared: Postgres, tmp_path: Path) -> Callable[[str], list[str]]:
    """Applies a text as ``x.sql``."""

    def apply(text: str) -> list[str]:
        (tmp_path / "x.sql").write_text(text)
        return prepared.migrate([tmp_path / "x.sql"], quiet, release="r1")

    return apply


def variant(like: Any, /, **settings: Any) -> Postgres:
    """The same server through other settings."""
    return Postgres(msgspec.structs.replace(like.settings, **settings), like.stack)


def one(database: Any, statement: str, *, admin: bool = False) -> Any:
    return database.query(statement, admin=admin)[1][0][0]


# ------------------------------------------------------------------------------------------------ accounts


def test_the_application_is_nobody_special(prepared: Postgres) -> None:
    assert one(prepared, "SELECT session_user || ' ' || current_user") == "app app_owner"
    prepared.query("CREATE TABLE mine (id int)")
    assert one(prepared, "SELECT tableowner FROM pg_tables WHERE tablename = 'mine'") == "app_owner"
    for forbidden in (
        "DELETE FROM adaf.migrations",
        "UPDATE adaf.migrations SET checksum = ''",
        "CREATE TABLE adaf.more (id int)",
        "CREATE ROLE friend",
        "SELECT rolpassword FROM pg_authid",
        "COPY mine TO '/tmp/x'",
    ):
        with pytest.raises(ProcessError, match=r"permission denied|must be"):
            prepared.query(forbidden)


def test_the_public_has_no_rights(prepared: Postgres) -> None:
    prepared.query("DROP ROLE IF EXISTS stranger", admin=True)
    prepared.query("CREATE ROLE stranger LOGIN", admin=True)
    assert not one(prepared, "SELECT has_database_privilege('stranger', current_database(), 'CONNECT')", admin=True)
    assert not one(prepared, "SELECT has_schema_privilege('stranger', 'public', 'USAGE')", admin=True)
    prepared.query("DROP ROLE stranger", admin=True)


def test_passwords_are_checked_by_scram_only(stack: Stack, prepared: Postgres) -> None:
    rules = prepared.query("SELECT DISTINCT type, auth_method FROM pg_hba_file_rules ORDER BY 1", admin=True)[1]
    assert rules == [("host", "scram-sha-256"), ("local", "scram-sha-256")]
    port = stack.runtime.resolve(Ref("instance", ID, "postgres", "port"))
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"host=127.0.0.1 port={port} user=postgres password=postgres")


def test_a_new_secret_reaches_the_role(stack: Stack, prepared: Postgres) -> None:
    def verifier() -> Any:
        return one(prepared, "SELECT rolpassword FROM pg_authid WHERE rolname = 'app'", admin=True)

    before = verifier()
    prepared.prepare()
    assert verifier() == before
    value = stack.secrets.path("database-app")
    folder, current = value.parent, value.readlink()
    try:
        (folder / "2").write_text("b" * 40)
        (folder / "2").chmod(0o400)
        value.unlink()
        value.symlink_to("2")
        with pytest.raises(PreconditionError, match="database-app is not the password"):
            prepared.query("SELECT 1")
        prepared.prepare()
        assert one(prepared, "SELECT 1") == 1
    finally:
        value.unlink()
        value.symlink_to(current)
        prepared.prepare()


def test_prepare_from_many_sides_at_once(stack: Stack) -> None:
    database = variant(stack.database, database="fresh")
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(database.prepare) for _ in range(4)]:
            done.result()
    assert one(database, "SELECT count(*) FROM adaf.migrations") == 0


# ------------------------------------------------------------------------------------------------- queries


def test_a_query_is_one_statement_in_no_transaction(prepared: Postgres) -> None:
    assert prepared.query("SELECT '100%' AS share, NULL::int AS none") == (("share", "none"), [("100%", None)])
    assert prepared.query("CREATE TABLE t (id int)") == ((), [])
    prepared.query("VACUUM t")
    with pytest.raises(ProcessError, match="multiple commands"):
        prepared.query("SELECT 1; DROP TABLE t")


def test_queries_and_sessions_have_limits(prepared: Postgres) -> None:
    hasty = variant(prepared, statement_timeout=0.2)
    with pytest.raises(ProcessError, match="statement timeout") as caught:
        hasty.query("SELECT pg_sleep(5)")
    assert "statement_timeout" in caught.value.hint


def test_the_callers_environment_does_not_matter(prepared: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGHOSTADDR": "192.0.2.1", "PGHOST": "192.0.2.1", "PGPORT": "1", "PGUSER": "x", "PGDATABASE": "x",
        "PGPASSWORD": "x", "PGOPTIONS": "-c role=none", "PGSSLMODE": "require", "PGTARGETSESSIONATTRS": "standby",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    assert one(prepared, "SELECT current_user") == "app_owner"


# ---------------------------------------------------------------------------------------------- migrations


def test_a_migration_is_recorded_with_its_release(prepared: Postgres, migrate: Callable[[str], list[str]]) -> None:
    migrate("CREATE TABLE t (id int);")
    name, release, fresh = prepared.query(
        "SELECT name, release, applied_at > now() - interval '1 minute' AND seconds BETWEEN 0 AND 60 FROM adaf.migrations"
    )[1][0]
    assert (name, release, fresh) == ("x.sql", "r1", True)


def test_errors_name_the_line(migrate: Callable[[str], list[str]]) -> None:
    with pytest.raises(ProcessError, match=r'^x\.sql line 3: syntax error at or near "TABEL"$'):
        migrate("-- grüße ☃\nCREATE TABLE t (id int);\nCREATE TABEL u (id int);\n")
    with pytest.raises(ProcessError, match=r"^x\.sql: duplicate key") as caught:
        migrate("CREATE TABLE t (id int primary key);\nINSERT INTO t VALUES (1);\nINSERT INTO t VALUES (1);")
    assert "nothing of this file was applied" in caught.value.hint
    assert caught.value.detail == ("Key (id)=(1) already exists.",)
    with pytest.raises(ProcessError, match=r"^x\.sql: insert or update on table"):  # only seen at COMMIT
        migrate(
            "CREATE TABLE a (id int primary key);"
            "CREATE TABLE b (id int references a deferrable initially deferred); INSERT INTO b VALUES (1);"
        )


def test_what_a_file_leaves_set_does_not_reach_the_next(prepared: Postgres, tmp_path: Path) -> None:
    files = [tmp_path / "1.sql", tmp_path / "2.sql"]
    files[0].write_text("SET search_path = pg_catalog; SET ROLE NONE; SELECT 1;")
    files[1].write_text("CREATE TABLE t (id int);")
    assert prepared.migrate(files, quiet) == ["1.sql", "2.sql"]
    assert one(prepared, "SELECT schemaname || tableowner FROM pg_tables WHERE tablename = 't'") == "publicapp_owner"


def test_a_file_may_not_end_its_transaction(prepared: Postgres, migrate: Callable[[str], list[str]]) -> None:
    for end in ("COMMIT;", "COMMIT; BEGIN;", "ROLLBACK;"):
        with pytest.raises(ProcessError, match="ends its transaction itself"):
            migrate(f"CREATE TABLE IF NOT EXISTS t (id int); {end}")
    assert prepared.level() == ""


def test_no_transaction(prepared: Postgres, migrate: Callable[[str], list[str]]) -> None:
    prepared.query("CREATE TABLE t (id int)")
    assert migrate("-- no-transaction\nCREATE INDEX CONCURRENTLY i ON t (id);") == ["x.sql"]
    assert prepared.level() == "x.sql"


def test_a_failed_concurrent_index_is_named(prepared: Postgres, migrate: Callable[[str], list[str]]) -> None:
    prepared.query("CREATE TABLE t AS SELECT 1 AS id FROM generate_series(1, 2)")
    with pytest.raises(ProcessError, match=r"^x\.sql: could not create unique index") as caught:
        migrate("-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY twice ON t (id);")
    assert "DROP INDEX twice" in caught.value.hint
    assert prepared.level() == ""
    with pytest.raises(ProcessError, match="leaves a transaction open"):
        migrate("-- no-transaction\nBEGIN; CREATE TABLE u (id int);")
    with pytest.raises(ProcessError, match=r"x\.sql line 2: .*missing"):
        migrate("-- no-transaction\nSELECT * FROM missing;")


def test_a_migration_does_not_wait_long_for_a_lock(stack: Stack, prepared: Postgres, tmp_path: Path) -> None:
    prepared.query("CREATE TABLE t (id int)")
    (tmp_path / "x.sql").write_text("ALTER TABLE t ADD c int;")
    hasty = variant(prepared, lock_timeout=0.3)
    with sessions.connect(stack, "app") as session, session.transaction():
        session.execute("SELECT * FROM t")
        start = time.monotonic()
        with pytest.raises(ProcessError, match="lock timeout") as caught:
            hasty.migrate([tmp_path / "x.sql"], quiet)
        assert time.monotonic() - start < 3
    assert re.match(r"session \d+ \(adaf-pipeline, idle in transaction\) .* open for \d+ s", caught.value.detail[0])
    assert hasty.migrate([tmp_path / "x.sql"], quiet) == ["x.sql"]


def test_two_runs_at_once(prepared: Postgres, tmp_path: Path) -> None:
    """The first builds an index concurrently: it would wait for ever for a second one that waits in a lock call."""
    prepared.query("CREATE TABLE t (id int)")
    slow, index = tmp_path / "1.sql", tmp_path / "2.sql"
    slow.write_text("SELECT pg_sleep(1);")
    index.write_text("-- no-transaction\nCREATE INDEX CONCURRENTLY i ON t (id);")
    said: list[str] = []
    with ThreadPoolExecutor() as pool:
        first = pool.submit(prepared.migrate, [slow, index], quiet)
        until(lambda: one(prepared, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))
        with pytest.raises(LockedError, match=r"server process \d+"):
            variant(prepared, migration_wait=0).migrate([slow], quiet)
        assert prepared.migrate([slow, index], said.append) == []
        assert first.result() == ["1.sql", "2.sql"]
    assert said == ["another migration run is at work: waiting for it"]


# --------------------------------------------------------------------------------------------- the server's life


def test_a_killed_postmaster_comes_back_at_once(stack: Stack, prepared: Postgres) -> None:
    """Also while a child is busy: it would keep the old memory, and the server would refuse to start."""
    prepared.query("CREATE TABLE t (n int)")
    endless = "SELECT count(*) AS busy FROM (SELECT generate_series(1, 1000000000)) AS s"
    active = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT%AS busy%'"
    with ThreadPoolExecutor() as pool, sessions.connect(stack, "app", statement=60) as session:
        busy = pool.submit(session.execute, endless)
        until(lambda: one(prepared, active, admin=True))
        for number in range(20):
            prepared.query(f"INSERT INTO t VALUES ({number})")
        start, process = time.monotonic(), pid(stack, ID)
        os.kill(process, signal.SIGKILL)
        restarted(stack, ID, process)
        prepared.prepare()
        assert one(prepared, "SELECT count(*) FROM t") == 20
        assert time.monotonic() - start < 15
        with pytest.raises(psycopg.OperationalError):
            busy.result(10)
    logged(stack, ID, "left-over server processes")


def test_a_server_that_nobody_remembers_is_ended_before_the_next(stack: Stack, prepared: Postgres) -> None:
    prepared.query("CREATE TABLE t AS SELECT 1 AS n")
    lose_supervisor(stack, ID)
    prepared.prepare()
    assert one(prepared, "SELECT n FROM t") == 1
    logged(stack, ID, "ending the server that was left behind")


def test_a_pid_that_is_used_again_does_not_block_the_start(stack: Stack, prepared: Postgres) -> None:
    prepared.query("CREATE TABLE t AS SELECT 42 AS n")
    lock = volume(stack, ID) / "cluster" / "postmaster.pid"
    _, *rest = lock.read_text().splitlines(keepends=True)
    stack.runtime.stop([ID], quiet)
    with pytest.raises(ServiceError, match="no session at") as caught:
        prepared.query("SELECT 1")
    assert f"inv logs --service {ID}" in caught.value.hint
    with spawn(["sleep", "60"], account=stack.account) as innocent:
        try:
            places.write(lock, f"{innocent.pid}\n" + "".join(rest), stack.account, 0o600)
            start_roles(stack, "database")
            assert innocent.poll() is None
        finally:
            innocent.kill()
    prepared.prepare()
    assert one(prepared, "SELECT n FROM t") == 42


def test_a_killed_initdb_is_taken_up(other: Stack) -> None:
    data = volume(other, ID)
    with ThreadPoolExecutor() as pool:
        started = pool.submit(start_roles, other, "database")
        until((data / "cluster.init" / "global" / "pg_control").exists)
        os.killpg(pid(other, ID), signal.SIGKILL)
        assert not (data / "cluster").exists()
        started.result(60)
    with pytest.raises(PreconditionError):
        other.database.query("SELECT 1")
    other.database.prepare()
    assert one(other.database, "SHOW data_checksums") == "on"
    assert one(other.database, "SHOW server_encoding") == "UTF8"
    locale = "SELECT current_setting('server_version_num')::int < 170000 OR datlocprovider = 'b' FROM pg_database"
    assert all(row == (True,) for row in other.database.query(locale)[1])
    assert [p.name for p in data.iterdir()] == ["cluster"]


def test_what_is_no_cluster_of_this_version_is_refused_and_untouched(other: Stack) -> None:
    cluster = volume(other, ID) / "cluster"
    for folder in (cluster.parent, cluster):
        places.make(folder, other.account, 0o700)
    (cluster / "PG_VERSION").write_text("13\n")
    (cluster / "precious").write_text("data")
    with pytest.raises(ServiceError, match="ends again and again") as caught:
        start_roles(other, "database")
    said = "\n".join(caught.value.detail)
    assert "was made by PostgreSQL 13, but this is PostgreSQL 1" in said
    assert "version: 13" in said
    other.runtime.stop([ID], quiet)
    assert sorted(p.name for p in cluster.iterdir()) == ["PG_VERSION", "precious"]
    (cluster / "PG_VERSION").unlink()
    (service,) = other.database.services()
    done = run([other.runtime.text(word) for word in service.gate], account=other.account, check=False)
    assert done.code == 1
    assert "neither empty nor a cluster" in done.stderr
    assert [p.name for p in cluster.iterdir()] == ["precious"]


def test_doctor_looks_and_a_server_that_does_not_run_is_not_ill(stack: Stack, other: Stack) -> None:
    assert [finding.ok for finding in stack.database.doctor()] == [True]
    assert not list(other.database.doctor())


# ---------------------------------------------------------------------------------------------------- secrets


def test_no_secret_is_anywhere_but_in_its_file(stack: Stack, prepared: Postgres, seen: set[str]) -> None:
    """Not even for a moment, nor in the log of a server that is told to log every statement."""
    values = secrets(stack)
    with watching(values, seen):
        for change in ("SYSTEM SET log_statement = 'all'", "ROLE app PASSWORD NULL"):
            prepared.query(f"ALTER {change}", admin=True)
            prepared.query("SELECT pg_reload_conf()", admin=True)
        prepared.prepare()
        words, environment = prepared.shell()
        assert environment == {}
        with terminal(words) as say:
            say("SELECT current_user || ' in psql';", "app_owner in psql")
            assert leaks(stack, values) == []
        words, _ = prepared.shell(admin=True)
        assert run([*words, "-At"], stdin=b"SELECT current_user;").stdout == "postgres\n"
    assert seen == set()
    logged(stack, ID, "in psql")
    body = "\n".join(stack.runtime.logs(ID, 1000))
    assert "ALTER ROLE" in body  # every statement is there ...
    assert "SCRAM-SHA-256$" not in body  # ... and no verifier is
