"""The database contract: the fake, and PostgreSQL on the local runtime."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import msgspec
import pytest

from adaf_pipeline.roles import Database
from adaf_pipeline.stack import Stack
from adaf_pipeline.testing.database import DatabaseContract
from adaf_pipeline.testing.stack import fake_stack, real_stack, start_roles
from adaf_postgres.backend import Postgres

numbers = count(1)


class TestFake(DatabaseContract):
    @pytest.fixture
    def database(self, tmp_path: Path) -> Database:
        return fake_stack(tmp_path).database


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One server for all; each test has a database of its own in it."""
    with real_stack(database={"use": "postgres", "memory_mb": 128}, secrets="files") as made:
        start_roles(made, "database")
        made.database.prepare()
        for statement in ("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"):  # only a power cut would tell
            made.database.query(statement, admin=True)
        yield made


class TestPostgres(DatabaseContract):
    @pytest.fixture
    def database(self, stack: Stack) -> Database:
        settings = msgspec.structs.replace(stack.database.settings, database=f"contract_{next(numbers)}")
        return Postgres(settings, stack)
