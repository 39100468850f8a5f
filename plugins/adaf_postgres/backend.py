"""The role Database over one PostgreSQL primary."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psycopg

from adaf_pipeline.errors import AdafError, PreconditionError
from adaf_pipeline.roles import Binding, Database, Finding, Progress
from adaf_pipeline.service import Ref, SecretUse, Services
from adaf_postgres import accounts, migrations, server, settings, sqlfile, within
from adaf_postgres.client import ADMIN, APP, LockTimeoutError, blockers, connect, speaking, wait


class Postgres(Database):
    """PostgreSQL of the distribution behind the endpoint ``primary``."""

    Settings = settings.Settings
    settings: settings.Settings

    def services(self) -> Services:
        return (server.service(self.settings, neighbours=bool(self.stack.runtime.names)),)

    @property
    def endpoints(self) -> Mapping[str, Ref]:
        return {"primary": Ref("instance", server.ID, server.PORT)}

    def prepare(self) -> None:
        self.stack.secrets.ensure((server.APP_SECRET,))
        wait(self.stack, self.settings.start_timeout)
        password = self.stack.secrets.value(server.APP_SECRET)
        limit = self.settings.statement_timeout
        with speaking():
            with connect(self.stack, "postgres", admin=True, statement=limit, lock=limit) as session:
                accounts.prepare(session, self.settings.database, password)
            with connect(self.stack, self.settings.database, admin=True, statement=limit, lock=limit) as session:
                accounts.prepare_schema(session)

    def query(self, statement: str, *, admin: bool = False) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        limit = self.settings.statement_timeout
        with speaking(), connect(self.stack, self.settings.database, admin=admin, statement=limit) as session:
            # prepared: the server then refuses a second statement
            answer = session.execute(statement.encode(), prepare=True)
            if answer.description is None:
                return (), []
            return tuple(column.name for column in answer.description), answer.fetchall()

    def migrate(self, files: Iterable[Path], progress: Progress, *, release: str = "") -> list[str]:
        found = sqlfile.read(files)
        database, patience = self.settings.database, self.settings.migration_wait
        with speaking(), connect(self.stack, database, lock=self.settings.lock_timeout) as session:
            try:
                return migrations.apply(session, found, release, patience, progress)
            except LockTimeoutError as exc:
                exc.detail = tuple(blockers(self.stack, database))
                raise

    def level(self) -> str:
        with (
            speaking(),
            connect(self.stack, self.settings.database, statement=self.settings.statement_timeout) as session,
        ):
            try:
                row = session.execute(
                    "SELECT name FROM adaf.migrations ORDER BY applied_at DESC, name DESC LIMIT 1"
                ).fetchone()
            except psycopg.errors.UndefinedTable:
                return ""
        return row[0] if row else ""

    def binding(self) -> Binding:
        def primary(part: str) -> tuple[Ref]:
            return (Ref("endpoint", "database", "primary", part),)

        return Binding(
            {
                "DATABASE_HOST": primary("host"),
                "DATABASE_PORT": primary("port"),
                "DATABASE_NAME": (self.settings.database,),
                "DATABASE_USER": (APP,),
                "DATABASE_PASSWORD_FILE": (Ref("secret", "", server.APP_SECRET),),
            },
            (SecretUse(server.APP_SECRET),),
            SecretUse(
                server.APP_SECRET,
                before=(f"postgresql://{APP}:",),
                after=("@", *primary("host"), ":", *primary("port"), f"/{self.settings.database}"),
            ),
        )

    def shell(self, *, admin: bool = False) -> tuple[tuple[str, ...], Mapping[str, str]]:
        resolve = self.stack.runtime.resolve
        try:
            psql = resolve(Ref("binary", "", "psql"))
        except PreconditionError:
            entered = self.stack.runtime.enter(server.ID)
            if entered is None:
                raise
            return (*entered, *within.psql(resolve, self.settings.database, admin=admin)), {}
        secret = self.stack.secrets.path(server.ADMIN_SECRET if admin else server.APP_SECRET)
        words = (
            str(secret),
            resolve(Ref("endpoint", "database", "primary", "host")),
            resolve(Ref("endpoint", "database", "primary", "port")),
            self.settings.database,
            ADMIN if admin else APP,
            psql,
        )
        return (sys.executable, "-I", str(Path(__file__).with_name("shell.py")), *words), {}

    def doctor(self) -> Iterable[Finding]:
        try:
            _, rows = self.query("SHOW data_checksums", admin=True)
        except AdafError:
            return  # not running: the runtime says so
        on = rows[0][0] == "on"
        yield Finding(
            on, f"data checksums: {rows[0][0]}", "" if on else "stop the database, then pg_checksums --enable"
        )
