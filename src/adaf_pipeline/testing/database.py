"""A stand-in for the role Database, and what every backend of it has to keep."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from adaf_pipeline.errors import AdafError, PreconditionError, ProcessError
from adaf_pipeline.roles import Binding, Database, Progress, StackView
from adaf_pipeline.service import Port, Ref, SecretUse, Service, Services, argv

_STATEMENT = re.compile(
    r"CREATE TABLE (?P<made>[a-z]+) \([a-z]+ (int|bigint|text)(, [a-z]+ (int|bigint|text))*\);"
    r"|DROP TABLE (?P<dropped>[a-z]+);|INSERT INTO (?P<filled>[a-z]+) DEFAULT VALUES;"
)
Answer = tuple[tuple[str, ...], list[tuple[Any, ...]]]


class FakeDatabase(Database):
    """Remembers what was asked and applied.

    ``answers`` holds what query() may be asked. Migrations may say ``CREATE TABLE name (column int, column text);``,
    ``DROP TABLE name;`` and ``INSERT INTO name DEFAULT VALUES;``, one statement a line; everything else is refused, so
    that nothing passes here that would fail for real.
    """

    def __init__(self, settings: Any, stack: StackView) -> None:
        super().__init__(settings, stack)
        self.prepared = False
        self.answers: dict[str, Answer] = {"SELECT 1 AS one": (("one",), [(1,)])}
        self.queries: list[str] = []
        self.migrations: dict[str, str] = {}  # name -> checksum, in the order they were applied
        self.tables: set[str] = set()

    def services(self) -> Services:
        return (Service("database.1", "database", argv("fake-database"), image="postgres", ports=(Port("postgres"),)),)

    @property
    def endpoints(self) -> Mapping[str, Ref]:
        return {"primary": Ref("instance", "database.1", "postgres")}

    def prepare(self) -> None:
        self.stack.secrets.ensure(("database-app",))
        self.prepared = True

    def query(self, statement: str, *, admin: bool = False) -> Answer:
        self._ready()
        self.queries.append(statement)
        if statement in self.answers:
            return self.answers[statement]
        raise ProcessError(f"the fake has no answer to: {statement}", "put one into its `answers`")

    def migrate(self, files: Iterable[Path], progress: Progress, *, release: str = "") -> list[str]:
        self._ready()
        texts = {file.name: file.read_text() for file in files}
        sums = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
        for name, checksum in sums.items():
            if self.migrations.get(name, checksum) != checksum:
                raise PreconditionError(f"{name}: has changed since it was applied", "put the change into a new file")
        done = []
        for name in [name for name in texts if name not in self.migrations]:
            self.tables = self._after(name, texts[name])
            self.migrations[name] = sums[name]
            progress(f"{name}: applied")
            done.append(name)
        return done

    def level(self) -> str:
        self._ready()
        return next(reversed(self.migrations), "")

    def binding(self) -> Binding:
        return Binding(
            {
                "DATABASE_HOST": (Ref("endpoint", "database", "primary", "host"),),
                "DATABASE_PORT": (Ref("endpoint", "database", "primary", "port"),),
                "DATABASE_NAME": ("app",),
                "DATABASE_USER": ("app",),
                "DATABASE_PASSWORD_FILE": (Ref("secret", "", "database-app"),),
            },
            (SecretUse("database-app"),),
            SecretUse(
                "database-app", before=("fake://app:",), after=("@", Ref("endpoint", "database", "primary"), "/app")
            ),
        )

    def shell(self, *, admin: bool = False) -> tuple[tuple[str, ...], Mapping[str, str]]:
        return ("fake-database-shell", "admin" if admin else "app"), {}

    def _ready(self) -> None:
        if not self.prepared:
            raise PreconditionError("database: nothing is prepared yet", "prepare() does it")

    def _after(self, name: str, text: str) -> set[str]:
        tables = set(self.tables)
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.startswith("--"):
                continue
            found = _STATEMENT.fullmatch(line)
            if not found:
                raise ProcessError(f"{name} line {number}: the fake does not know this statement")
            made, used = found["made"], found["dropped"] or found["filled"]
            if made in tables:
                raise ProcessError(f'{name}: relation "{made}" already exists')
            if used and used not in tables:
                raise ProcessError(f'{name} line {number}: relation "{used}" does not exist')
            tables |= {made} - {None}
            tables -= {found["dropped"]}
        return tables


class DatabaseContract:
    """Run against every backend of the role. Override ``database`` with a running one that has no history."""

    @pytest.fixture
    def database(self) -> Database:
        raise NotImplementedError

    @pytest.fixture
    def prepared(self, database: Database) -> Database:
        database.prepare()
        return database

    def write(self, folder: Path, **files: str) -> list[Path]:
        """``one="..."`` as ``one.sql``."""
        for name, body in files.items():
            (folder / f"{name}.sql").write_text(body)
        return [folder / f"{name}.sql" for name in files]

    def apply(self, database: Database, files: list[Path]) -> list[str]:
        return database.migrate(files, lambda _line: None)

    def test_nothing_works_before_it_is_prepared(self, database: Database, tmp_path: Path) -> None:
        """`query`, `level`, `migrate`: PreconditionError before `prepare`."""
        for use in (lambda: database.query("SELECT 1 AS one"), database.level, lambda: self.apply(database, [])):
            with pytest.raises(PreconditionError):
                use()

    def test_prepare_can_run_twice(self, prepared: Database) -> None:
        """`prepare`: creates what is missing, idempotent; `query`: column names and rows."""
        prepared.prepare()
        assert prepared.query("SELECT 1 AS one") == (("one",), [(1,)])

    def test_a_failing_query_says_why(self, prepared: Database) -> None:
        """`query`: ProcessError with the database's reason."""
        with pytest.raises(ProcessError, match="missing"):
            prepared.query("SELECT * FROM missing")

    def test_migrations_are_applied_once_in_their_order(self, prepared: Database, tmp_path: Path) -> None:
        """`migrate`: what is not recorded yet, in order, returns the names; `level`: the newest applied."""
        assert prepared.level() == ""
        files = self.write(tmp_path, b="CREATE TABLE one (id int);\n", a="INSERT INTO one DEFAULT VALUES;\n")
        assert self.apply(prepared, files) == ["b.sql", "a.sql"]
        assert prepared.level() == "a.sql"
        assert self.apply(prepared, files) == []
        assert self.apply(prepared, files[:1]) == []  # an older release knows fewer
        assert prepared.level() == "a.sql"
        more = self.write(tmp_path, c="CREATE TABLE two (id int);\n")
        assert self.apply(prepared, files + more) == ["c.sql"]

    def test_progress_names_each(self, prepared: Database, tmp_path: Path) -> None:
        """`migrate`: progress is told of each file."""
        said: list[str] = []
        prepared.migrate(self.write(tmp_path, one="CREATE TABLE one (id int);\n"), said.append)
        assert len(said) == 1
        assert "one.sql" in said[0]

    def test_a_changed_file_stops_everything(self, prepared: Database, tmp_path: Path) -> None:
        """`migrate`: PreconditionError, before anything, when a recorded file has changed since."""
        first = self.write(tmp_path, one="CREATE TABLE one (id int);\n")
        self.apply(prepared, first)
        new = self.write(tmp_path, zero="CREATE TABLE zero (id int);\n", one="CREATE TABLE one (id bigint);\n")
        with pytest.raises(PreconditionError, match=r"one\.sql") as caught:
            self.apply(prepared, new)
        assert caught.value.hint
        assert prepared.level() == "one.sql"
        with pytest.raises(ProcessError):
            prepared.query("SELECT * FROM zero")

    def test_a_failing_file_leaves_nothing_behind(self, prepared: Database, tmp_path: Path) -> None:
        """`migrate`: each file in a transaction; ProcessError with file, line and reason."""
        files = self.write(
            tmp_path,
            good="CREATE TABLE one (id int);\n",
            bad="-- first a good one\nCREATE TABLE two (id int);\nINSERT INTO missing DEFAULT VALUES;\n",
            late="CREATE TABLE three (id int);\n",
        )
        with pytest.raises(ProcessError, match=r'bad\.sql line 3: .*"missing" does not exist'):
            self.apply(prepared, files)
        assert prepared.level() == "good.sql"
        for gone in ("SELECT * FROM two", "SELECT * FROM three"):
            with pytest.raises(ProcessError):
                prepared.query(gone)
        self.write(tmp_path, bad="CREATE TABLE two (id int);\n")
        assert self.apply(prepared, files) == ["bad.sql", "late.sql"]

    def test_applications_reach_it_by_its_endpoint(self, database: Database) -> None:
        """`binding`: Refs to the endpoint ``primary``, and the password as a file."""
        bound = database.binding()
        assert bound.environment["DATABASE_HOST"] == (Ref("endpoint", "database", "primary", "host"),)
        assert bound.environment["DATABASE_PORT"] == (Ref("endpoint", "database", "primary", "port"),)
        assert {"DATABASE_NAME", "DATABASE_USER"} < set(bound.environment)
        (secret,) = bound.secrets
        assert bound.environment["DATABASE_PASSWORD_FILE"] == (Ref("secret", "", secret.name),)
        assert secret.env == ""
        if bound.url is not None:  # all in one: the password's place is between the two, and nothing of it in them
            assert (bound.url.name, bound.url.env) == (secret.name, "")
            assert str(bound.url.before[0]).partition("://")[2].endswith(":") and str(bound.url.after[0]) == "@"
        assert database.endpoints["primary"].kind == "instance"
        assert database.endpoints["primary"].owner in [service.id for service in database.services()]

    def test_errors_tell_no_secret(self, prepared: Database) -> None:
        """Errors name no secret."""
        value = prepared.stack.secrets.value("database-app")
        with pytest.raises(AdafError) as caught:
            prepared.query("SELECT * FROM missing")
        assert value not in "\n".join((caught.value.message, caught.value.hint, *caught.value.detail))

    def test_a_shell_is_told_no_secret(self, prepared: Database) -> None:
        """`shell`: argv and environment of an interactive client, no secret in either."""
        argv, environment = prepared.shell()
        assert argv and all(isinstance(word, str) for word in argv)
        assert prepared.shell(admin=True)[0] != argv
        (secret,) = prepared.binding().secrets
        prepared.stack.secrets.ensure([secret.name])
        value = prepared.stack.secrets.value(secret.name)
        assert value not in "\n".join((*argv, *environment, *environment.values()))
