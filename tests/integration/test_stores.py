"""PostgreSQL and Redis for real, as the unprivileged account that the stack uses."""

from __future__ import annotations

import contextlib
import os
import pty
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis as client

from adaf_files.backend import Files
from adaf_pipeline.errors import LockedError, PreconditionError, ProcessError, ServiceError
from adaf_pipeline.process import Account, find_account, spawn
from adaf_pipeline.roles import Cache, Database
from adaf_pipeline.service import Ref, Service, Text
from adaf_pipeline.testing.cache import CacheContract
from adaf_pipeline.testing.database import DatabaseContract
from adaf_postgres import client as sessions
from adaf_postgres.backend import Postgres
from adaf_redis.backend import Redis

SEARCH = [*Path("/usr/lib/postgresql").glob("*/bin"), Path("/usr/bin")]
pytestmark = pytest.mark.skipif(
    shutil.which("redis-server") is None or not any((folder / "initdb").exists() for folder in SEARCH),
    reason="needs the packages of ci/packages",
)


class Lab:
    """Just enough of a runtime and a stack: renders, runs the gate and then the server, knows where everything is."""

    name = "stores"

    def __init__(self, base: Path, account: Account | None) -> None:
        self.base = self.state = self.checkout = base
        self.account = account
        self.secrets = Files(Files.Settings(), self)
        self.database = Postgres(Postgres.Settings(memory_mb=128, migration_wait=20), self)
        self.cache = Redis(Redis.Settings(), self)
        self.ports: dict[tuple[str, str], int] = {}
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def runtime(self) -> Lab:
        return self

    def service(self, identity: str) -> Service:
        return {service.id: service for role in (self.database, self.cache) for service in role.services()}[identity]

    def resolve(self, ref: Ref, view: str = "operator") -> str:
        if ref.kind == "endpoint":
            found = {"database": self.database, "cache": self.cache}[ref.owner].endpoints[ref.name]
            return self.resolve(Ref(found.kind, found.owner, found.name, ref.part))
        if ref.kind == "instance":
            return {"host": "127.0.0.1", "port": str(self.port(ref.owner, ref.name))}[ref.part]
        if ref.kind == "binary":
            return str(next(folder / ref.name for folder in SEARCH if (folder / ref.name).exists()))
        if ref.kind == "secret":
            return str(self.secrets.path(ref.name))
        return str(self.base / ref.owner / ref.name / ref.part)

    def text(self, value: Text) -> str:
        return "".join(part if isinstance(part, str) else self.resolve(part) for part in value)

    def port(self, *key: str) -> int:
        while key not in self.ports:
            number = random.randint(27000, 27999)
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", number))
                self.ports[key[0], key[1]] = number
        return self.ports[key[0], key[1]]

    def folder(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        if self.account:
            os.chown(path, self.account.uid, self.account.gid)

    def gate(self, identity: str) -> subprocess.Popen[bytes]:
        service = self.service(identity)
        home = self.base / identity
        home.mkdir(exist_ok=True)
        for file in service.files:
            (home / file.name).write_text(self.text(file.body))
        for volume in service.volumes:
            self.folder(home / volume.name)
        return self.spawn(identity, service.gate)

    def spawn(self, identity: str, words: tuple[Text, ...]) -> subprocess.Popen[bytes]:
        with open(self.base / identity / "log", "ab") as log:
            return spawn(
                [self.text(word) for word in words], account=self.account, stdout=log, stderr=log, session=True
            )

    def start(self, identity: str) -> None:
        self.secrets.ensure(use.name for use in self.service(identity).secrets)
        assert self.gate(identity).wait(30) == 0, self.log(identity)
        self.running[identity] = self.spawn(identity, self.service(identity).argv)
        port = self.port(identity, self.service(identity).ports[0].name)
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and self.running[identity].poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.02)
        raise AssertionError(self.log(identity))

    def stop(self, identity: str, number: int = 0) -> int:
        process = self.running.pop(identity)
        process.send_signal(number or signal.Signals[f"SIG{self.service(identity).stop_signal}"])
        return process.wait(30)

    def log(self, identity: str) -> str:
        return (self.base / identity / "log").read_text()


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    account = None
    if os.geteuid() == 0:
        account = find_account("adaf")
        if account is None:
            words = ["useradd", "--system", "--home-dir", "/var/lib/adaf", "--shell", "/usr/sbin/nologin", "adaf"]
            subprocess.run(words, check=True)
            account = find_account("adaf")
            assert account
    base = Path(tempfile.mkdtemp(prefix="adaf-stores-"))  # pytest's own directory is closed to the account
    base.chmod(0o755)
    made = Lab(base, account)
    try:
        made.start("database.1")
        made.start("cache.1")
        made.database.prepare()
        yield made
    finally:
        for identity in list(made.running):
            made.stop(identity)
        shutil.rmtree(base)


@pytest.fixture
def database(lab: Lab) -> Postgres:
    """No application database, so no history."""
    with sessions.connect(lab, "postgres", admin=True) as session:
        session.execute("DROP DATABASE IF EXISTS app WITH (FORCE)")
    return lab.database


@pytest.fixture
def prepared(database: Postgres) -> Postgres:
    database.prepare()
    return database


@pytest.fixture
def cache(lab: Lab) -> Redis:
    lab.cache.command("FLUSHALL")
    return lab.cache


@pytest.fixture
def migrate(prepared: Postgres, tmp_path: Path) -> Callable[[str], list[str]]:
    """Applies a text as ``x.sql``."""

    def apply(text: str) -> list[str]:
        (tmp_path / "x.sql").write_text(text)
        return prepared.migrate([tmp_path / "x.sql"], lambda _line: None, release="r1")

    return apply


class TestPostgres(DatabaseContract):
    @pytest.fixture
    def database(self, database: Postgres) -> Database:
        return database


class TestRedis(CacheContract):
    @pytest.fixture
    def cache(self, cache: Redis) -> Cache:
        return cache


def one(database: Postgres, statement: str, *, admin: bool = False) -> Any:
    return database.query(statement, admin=admin)[1][0][0]


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 15
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


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
    assert not one(prepared, "SELECT has_database_privilege('stranger', 'app', 'CONNECT')", admin=True)
    assert not one(prepared, "SELECT has_schema_privilege('stranger', 'public', 'USAGE')", admin=True)
    prepared.query("DROP ROLE stranger", admin=True)


def test_passwords_are_checked_by_scram_only(lab: Lab, prepared: Postgres) -> None:
    rules = prepared.query("SELECT DISTINCT type, auth_method FROM pg_hba_file_rules ORDER BY 1", admin=True)[1]
    assert rules == [("host", "scram-sha-256"), ("local", "scram-sha-256")]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"host=127.0.0.1 port={lab.port('database.1', 'postgres')} user=postgres password=postgres")


def test_a_new_secret_reaches_the_role(lab: Lab, prepared: Postgres) -> None:
    def verifier() -> Any:
        return one(prepared, "SELECT rolpassword FROM pg_authid WHERE rolname = 'app'", admin=True)

    before = verifier()
    prepared.prepare()
    assert verifier() == before
    folder = lab.secrets.directory / "database-app"
    current, value = (folder / "value").readlink(), folder / "value"
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


def test_prepare_from_two_sides_at_once(database: Postgres) -> None:
    failed: list[Exception] = []

    def work() -> None:
        try:
            database.prepare()
        except Exception as exc:
            failed.append(exc)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert one(database, "SELECT count(*) FROM adaf.migrations") == 0


# ------------------------------------------------------------------------------------------------- queries


def test_a_query_is_one_statement_in_no_transaction(prepared: Postgres) -> None:
    assert prepared.query("SELECT '100%' AS share, NULL::int AS none") == (("share", "none"), [("100%", None)])
    assert prepared.query("CREATE TABLE t (id int)") == ((), [])
    prepared.query("VACUUM t")
    with pytest.raises(ProcessError, match="multiple commands"):
        prepared.query("SELECT 1; DROP TABLE t")


def test_queries_and_sessions_have_limits(lab: Lab, prepared: Postgres) -> None:
    hasty = Postgres(Postgres.Settings(statement_timeout=0.2), lab)
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
    assert prepared.migrate(files, lambda _line: None) == ["1.sql", "2.sql"]
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


def test_a_migration_does_not_wait_long_for_a_lock(lab: Lab, prepared: Postgres, tmp_path: Path) -> None:
    prepared.query("CREATE TABLE t (id int)")
    (tmp_path / "x.sql").write_text("ALTER TABLE t ADD c int;")
    hasty = Postgres(Postgres.Settings(lock_timeout=0.3), lab)
    with sessions.connect(lab, "app") as session, session.transaction():
        session.execute("SELECT * FROM t")
        start = time.monotonic()
        with pytest.raises(ProcessError, match="lock timeout") as caught:
            hasty.migrate([tmp_path / "x.sql"], lambda _line: None)
        assert time.monotonic() - start < 3
    assert re.match(r"session \d+ \(adaf-pipeline, idle in transaction\) .* open for \d+ s", caught.value.detail[0])
    assert hasty.migrate([tmp_path / "x.sql"], lambda _line: None) == ["x.sql"]


def test_two_runs_at_once(lab: Lab, prepared: Postgres, tmp_path: Path) -> None:
    """The first builds an index concurrently: it would wait for ever for a second one that waits in a lock call."""
    prepared.query("CREATE TABLE t (id int)")
    slow, index = tmp_path / "1.sql", tmp_path / "2.sql"
    slow.write_text("SELECT pg_sleep(1);")
    index.write_text("-- no-transaction\nCREATE INDEX CONCURRENTLY i ON t (id);")
    results: list[list[str]] = []
    first = threading.Thread(target=lambda: results.append(prepared.migrate([slow, index], lambda _line: None)))
    first.start()
    until(lambda: one(prepared, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))
    with pytest.raises(LockedError, match=r"server process \d+"):
        Postgres(Postgres.Settings(migration_wait=0), lab).migrate([slow], lambda _line: None)
    said: list[str] = []
    assert prepared.migrate([slow, index], said.append) == []
    first.join()
    assert results == [["1.sql", "2.sql"]]
    assert said == ["another migration run is at work: waiting for it"]


# ------------------------------------------------------------------------------- the server's life: PostgreSQL


def test_a_restart_keeps_everything(lab: Lab, prepared: Postgres) -> None:
    prepared.query("CREATE TABLE t AS SELECT 42 AS n")
    assert lab.stop("database.1") == 0
    with pytest.raises(ServiceError, match="no session at") as caught:
        prepared.query("SELECT 1")
    assert "inv logs --service database.1" in caught.value.hint
    lab.start("database.1")
    prepared.prepare()
    assert one(prepared, "SELECT n FROM t") == 42


def test_a_killed_postmaster_comes_back_at_once(lab: Lab, prepared: Postgres) -> None:
    """Also while a child is busy: it would keep the old memory, and the server would refuse to start."""
    prepared.query("CREATE TABLE t (n int)")
    with sessions.connect(lab, "app", statement=60) as session:

        def work() -> None:
            with pytest.raises(psycopg.OperationalError):
                session.execute("SELECT count(*) AS busy FROM (SELECT generate_series(1, 1000000000)) AS s")

        busy = threading.Thread(target=work)
        busy.start()
        until(
            lambda: one(
                prepared, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT%AS busy%'", admin=True
            )
        )
        for number in range(50):
            prepared.query(f"INSERT INTO t VALUES ({number})")
        start = time.monotonic()
        assert lab.stop("database.1", signal.SIGKILL) == -signal.SIGKILL
        lab.start("database.1")
        prepared.prepare()
        assert one(prepared, "SELECT count(*) FROM t") == 50
        assert time.monotonic() - start < 10
        busy.join(10)
        assert not busy.is_alive()
    assert "left-over server processes" in lab.log("database.1")


def test_a_server_without_supervisor_is_ended_before_the_next(lab: Lab, prepared: Postgres) -> None:
    prepared.query("CREATE TABLE t AS SELECT 1 AS n")
    left = lab.running["database.1"]
    lab.start("database.1")
    assert left.wait(10) == 0
    prepared.prepare()
    assert "ending the server that was left behind" in lab.log("database.1")
    assert one(prepared, "SELECT n FROM t") == 1


def test_a_pid_that_is_used_again_does_not_block_the_start(lab: Lab, prepared: Postgres) -> None:
    lab.stop("database.1", signal.SIGKILL)
    until(lambda: not _servers(lab, "database.1/data/cluster"))
    with spawn(["sleep", "60"], account=lab.account) as other:
        try:
            lock = lab.base / "database.1/data/cluster/postmaster.pid"
            lock.write_text(lock.read_text().replace(lock.read_text().split()[0], str(other.pid), 1))
            lab.start("database.1")
            assert other.poll() is None
        finally:
            other.kill()
    prepared.prepare()


def _servers(lab: Lab, folder: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink() == lab.base / folder:
                found.append(process.name)
    return found


@pytest.fixture
def other(lab: Lab) -> Iterator[Lab]:
    """A second stack that was never started."""
    base = Path(tempfile.mkdtemp(prefix="adaf-stores-"))
    base.chmod(0o755)
    made = Lab(base, lab.account)
    made.secrets.ensure(["database-admin", "cache-admin", "cache-app"])
    try:
        yield made
    finally:
        for identity in list(made.running):
            made.stop(identity, signal.SIGKILL)
        shutil.rmtree(base)


def test_a_killed_initdb_is_taken_up(other: Lab) -> None:
    data = other.base / "database.1" / "data"
    for moment in ("PG_VERSION", "global/pg_control"):
        gate = other.gate("database.1")
        until(lambda moment=moment: (data / "cluster.init" / moment).exists())
        assert gate.poll() is None
        gate.kill()
        gate.wait()
        subprocess.run(["pkill", "-KILL", "-f", f"initdb.*{data}"], check=False)
    assert not (data / "cluster").exists()
    other.start("database.1")
    other.database.prepare()
    assert one(other.database, "SHOW data_checksums") == "on"
    assert one(other.database, "SHOW server_encoding") == "UTF8"
    assert [p.name for p in data.iterdir()] == ["cluster"]


def test_another_major_version_is_refused_and_untouched(other: Lab) -> None:
    other.folder(other.base / "database.1")
    other.folder(other.base / "database.1" / "data")
    cluster = other.base / "database.1" / "data" / "cluster"
    other.folder(cluster)
    (cluster / "PG_VERSION").write_text("13\n")
    (cluster / "precious").write_text("data")
    assert other.gate("database.1").wait(10) == 1
    assert "was made by PostgreSQL 13, but this is PostgreSQL 1" in other.log("database.1")
    assert "version: 13" in other.log("database.1")
    assert sorted(p.name for p in cluster.iterdir()) == ["PG_VERSION", "precious"]
    (cluster / "PG_VERSION").unlink()
    assert other.gate("database.1").wait(10) == 1
    assert "neither empty nor a cluster" in other.log("database.1")
    assert (cluster / "precious").read_text() == "data"


def test_postgres_doctor(lab: Lab, prepared: Postgres, other: Lab) -> None:
    assert [finding.ok for finding in prepared.doctor()] == [True, True]
    assert [finding.ok for finding in other.database.doctor()] == [True]  # not running is not ill


# ------------------------------------------------------------------------------------ the server's life: Redis


def test_redis_restarts_keep_everything(lab: Lab, cache: Redis) -> None:
    cache.command("SET", "app:a", "1")
    assert lab.stop("cache.1") == 0
    with pytest.raises(ServiceError) as caught:
        cache.command("PING")
    assert "inv logs --service cache.1" in caught.value.hint
    lab.start("cache.1")
    cache.command("INCR", "app:a")
    lab.stop("cache.1", signal.SIGKILL)
    lab.start("cache.1")
    assert cache.command("GET", "app:a") == "2"


@pytest.mark.parametrize("damage", [b"*3\r\n$3\r\nSET\r\n$5\r\napp", b"\0\0\0\0\0garbage"])
def test_a_damaged_log_does_not_prevent_the_start(lab: Lab, cache: Redis, damage: bytes) -> None:
    cache.command("SET", "app:a", "1")
    lab.stop("cache.1")
    data = lab.base / "cache.1" / "data"
    (log,) = (data / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(log.read_bytes() + damage)
    lab.start("cache.1")
    assert cache.command("GET", "app:a") == "1"
    kept = (data / "damaged" / log.name).read_bytes()
    assert kept.endswith(damage)


def test_a_redis_without_supervisor_is_ended_before_the_next(lab: Lab, cache: Redis) -> None:
    cache.command("SET", "app:a", "1")
    left = lab.running["cache.1"]
    lab.start("cache.1")
    assert left.wait(10) == 0
    assert cache.command("GET", "app:a") == "1"


def test_redis_accounts(lab: Lab, cache: Redis) -> None:
    port = lab.port("cache.1", "redis")
    with client.Redis("127.0.0.1", port) as nobody, pytest.raises(client.AuthenticationError):
        nobody.ping()
    with client.Redis("127.0.0.1", port, username="app", password=lab.secrets.value("cache-app")) as app:
        assert app.set("app:a", "1")
        assert app.eval("return redis.call('INCR', KEYS[1])", 1, "app:a") == 2
        assert app.pipeline(transaction=True).incr("app:a").get("app:a").execute() == [3, b"3"]
        app.info("server")
        for words in (
            ("GET", "other"), ("FLUSHALL",), ("KEYS", "*"), ("CONFIG", "GET", "*"), ("ACL", "LIST"), ("SHUTDOWN",),
            ("FUNCTION", "FLUSH"), ("CLIENT", "LIST"), ("REPLICAOF", "127.0.0.1", "1"),
            ("MONITOR",), ("SAVE",), ("SCRIPT", "FLUSH"),
        ):  # fmt: skip
            with pytest.raises(client.ResponseError, match=r"(?i)permission"):
                app.execute_command(*words)
        with pytest.raises(client.ResponseError, match="can't access at least one of the keys"):
            app.eval("return redis.call('GET', 'other')", 0)
    assert cache.command("ACL", "WHOAMI") == "admin"


def test_redis_is_as_the_settings_say(lab: Lab, cache: Redis) -> None:
    assert cache.command("CONFIG", "GET", "maxmemory") == ["maxmemory", str(128 << 20)]
    assert cache.command("CONFIG", "GET", "maxmemory-policy") == ["maxmemory-policy", "allkeys-lru"]
    assert cache.command("CONFIG", "GET", "bind") == ["bind", "127.0.0.1"]
    assert [finding.ok for finding in cache.doctor()] == [True]


# ---------------------------------------------------------------------------------------------------- secrets


def leaks(lab: Lab, values: set[bytes]) -> list[str]:
    """Everywhere a value was seen: processes of the whole machine, and every file but the secrets themselves."""
    places = [*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")]
    places += [path for path in lab.base.rglob("*") if path.is_file() and lab.secrets.directory not in path.parents]
    found = []
    for place in places:
        with contextlib.suppress(OSError):
            body = place.read_bytes()
            found += [str(place) for value in values if value in body]
    return found


def test_no_secret_is_anywhere_but_in_its_file(other: Lab, tmp_path: Path) -> None:
    names = ["database-admin", "database-app", "cache-admin", "cache-app"]
    other.secrets.ensure(names)
    values = {other.secrets.value(name).encode() for name in names}
    seen: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for place in [*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")]:
                with contextlib.suppress(OSError):
                    body = place.read_bytes()
                    if any(value in body for value in values):
                        seen.add(str(place))
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        other.start("database.1")
        other.start("cache.1")
        other.database.prepare()
        other.database.query("ALTER SYSTEM SET log_statement = 'all'", admin=True)
        other.database.query("SELECT pg_reload_conf()", admin=True)
        other.database.query("ALTER ROLE app PASSWORD NULL", admin=True)
        other.database.prepare()
        other.cache.command("SET", "app:a", "1")
        (tmp_path / "x.sql").write_text("CREATE TABLE t (id int);")
        other.database.migrate([tmp_path / "x.sql"], lambda _line: None)
        with psql(other) as shell, redis_cli(other) as cli:
            shell("SELECT current_user || ' in psql';", "app_owner in psql")
            cli("SET app:b works", "OK")
            assert leaks(other, values) == []
        other.stop("database.1")
        other.stop("cache.1")
    finally:
        done.set()
        watcher.join()
    assert seen == set()
    assert leaks(other, values) == []
    assert "ALTER ROLE" in other.log("database.1")  # somebody logs every statement ...
    assert "SCRAM-SHA-256$" not in other.log("database.1").split("PASSWORD NULL")[1]  # ... and a verifier is not there


@contextlib.contextmanager
def terminal(words: tuple[str, ...]) -> Iterator[Callable[[str, str], None]]:
    """An interactive program in a terminal: ``say(line, expected)``. Lines are echoed: expect something else."""
    ours, theirs = pty.openpty()
    child = spawn(words, stdin=theirs, stdout=theirs, stderr=theirs, session=True, env={"TERM": "xterm"})
    os.close(theirs)
    os.set_blocking(ours, False)

    def say(line: str, expected: str) -> None:
        shown = b""

        def there() -> bool:
            nonlocal shown
            with contextlib.suppress(OSError):
                shown += os.read(ours, 65536)
            return expected.encode() in shown

        if line:
            os.write(ours, line.encode() + b"\r")
        try:
            until(there)
        except AssertionError:
            raise AssertionError(shown) from None

    try:
        yield say
    finally:
        os.close(ours)
        child.kill()
        child.wait()


@contextlib.contextmanager
def psql(lab: Lab) -> Iterator[Callable[[str, str], None]]:
    words, environment = lab.database.shell()
    assert environment == {}
    with terminal(words) as say:
        yield say


@contextlib.contextmanager
def redis_cli(lab: Lab) -> Iterator[Callable[[str, str], None]]:
    words, environment = lab.cache.shell()
    assert environment == {}
    with terminal(words) as say:
        say("", "> ")
        say("ACL WHOAMI", "admin")
        yield say


def test_shells_read_pipes_too(lab: Lab, prepared: Postgres, cache: Redis) -> None:
    words, _ = prepared.shell(admin=True)
    done = subprocess.run([*words, "-At"], input=b"SELECT current_user;", capture_output=True, timeout=20, check=True)
    assert done.stdout == b"postgres\n"
    words, _ = cache.shell()
    done = subprocess.run(words, input=b"SET app:a 1\nINCR app:a\n", capture_output=True, timeout=20, check=True)
    assert done.stdout == b"OK\n2\n"
