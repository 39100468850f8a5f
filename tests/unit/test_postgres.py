"""The postgres backend as far as it needs no server, and the fake that stands in for it."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import psycopg
import pytest

import adaf_postgres
from adaf_pipeline.errors import PreconditionError, ProcessError, ServiceError
from adaf_pipeline.service import Ref, Service
from adaf_pipeline.testing.database import FakeDatabase
from adaf_postgres import server, sqlfile
from adaf_postgres.accounts import verifies
from adaf_postgres.backend import Postgres
from adaf_postgres.client import explained


@pytest.mark.parametrize(
    "line",
    [
        "create table one (id int);", "CREATE TABLE one (id nonsense);", "CREATE TABLE one (id int)", "SELECT 1;",
        "ALTER TABLE one ADD two int;", "CREATE TABLE one (id int); DROP TABLE one;", "INSERT INTO one VALUES (1);",
    ],
)  # fmt: skip
def test_the_fake_refuses_what_it_cannot_judge(tmp_path: Path, line: str) -> None:
    stack: Any = SimpleNamespace(secrets=SimpleNamespace(ensure=lambda _names: ()))
    fake = FakeDatabase(FakeDatabase.Settings(), stack)
    fake.prepare()
    (tmp_path / "x.sql").write_text(line)
    with pytest.raises(ProcessError, match=r"x\.sql line 1"):
        fake.migrate([tmp_path / "x.sql"], lambda _line: None)


# ------------------------------------------------------------------------------------------- the plugin, settings


def test_the_plugin_imports_nothing_but_the_hooks() -> None:
    file = adaf_postgres.__file__
    names = [node.module for node in ast.walk(ast.parse(Path(file).read_text())) if isinstance(node, ast.ImportFrom)]
    assert names == ["__future__", "adaf_pipeline.hooks"]
    (backend,) = adaf_postgres.adaf_backends()
    assert (backend.role, backend.name, backend.target) == ("database", "postgres", "adaf_postgres.backend:Postgres")


@pytest.mark.parametrize(
    "raw",
    [
        {"database": "postgres"}, {"database": "My App"}, {"database": "a" * 64}, {"memory_mb": 10}, {"port": 65536},
        {"max_connections": 5}, {"lock_timeout": 0}, {"version": 14}, {"replicas": 1},
    ],
)  # fmt: skip
def test_settings_are_checked(raw: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(raw, Postgres.Settings)


def test_every_setting_is_described() -> None:
    schema = msgspec.json.schema(Postgres.Settings)["$defs"]["Settings"]["properties"]
    assert [name for name, entry in schema.items() if not entry.get("description")] == []


# --------------------------------------------------------------------------------------------------- the service


def service(names: str = "", **settings: Any) -> Service:
    stack: Any = SimpleNamespace(runtime=SimpleNamespace(names=names))
    (made,) = Postgres(Postgres.Settings(**settings), stack).services()
    return made


def test_who_has_an_address_of_its_own_is_let_in_from_the_servers_networks_only() -> None:
    alone, among_peers = (body(service(names), "pg_hba.conf") for names in ("", "127.0.0.11:53"))
    assert among_peers == alone + "host   all  all  samenet       scram-sha-256\n"
    assert "samenet" not in alone


def test_its_limit_holds_what_it_is_sized_for_and_every_session() -> None:
    limits = service(memory_mb=1024, max_connections=200).limits
    assert (limits.memory_mb, limits.shared_memory_mb) == (1024 + 4 * 200, 256)


def body(made: Service, name: str) -> str:
    (file,) = [file for file in made.files if file.name == name]
    return "".join(part if isinstance(part, str) else f"<{part.kind} {part.name} {part.part}>" for part in file.body)


def test_the_service_names_no_place() -> None:
    made = service()
    texts = [*made.argv, *made.gate, *(file.body for file in made.files)]
    refs = {part for text in texts for part in text if isinstance(part, Ref)}
    assert {ref.owner for ref in refs if ref.kind in ("path", "instance")} == {made.id}
    assert {ref.name for ref in refs if ref.kind == "binary"} <= {binary.name for binary in made.binaries}
    assert {ref.name for ref in refs if ref.kind == "secret"} == {use.name for use in made.secrets}
    known = {file.name for file in made.files} | {volume.name for volume in made.volumes}
    assert {ref.name for ref in refs if ref.kind == "path"} <= known
    configuration = body(made, "postgresql.conf")
    assert "listen_addresses = '<instance postgres host>'" in configuration
    assert "{{" not in configuration


def test_only_what_matters_changes_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    assert service().digest() == service(lock_timeout=1, migration_wait=1).digest()
    assert service().digest() != service(max_connections=50).digest()
    monkeypatch.setattr(server, "machine_memory", lambda: 7900)
    before = service().digest()
    monkeypatch.setattr(server, "machine_memory", lambda: 7893)  # another kernel, another reserve
    assert service().digest() == before


def test_a_chosen_major_version_is_the_only_one_looked_for() -> None:
    for binary in service(version=15).binaries:
        assert binary.supported == ("15", "16")
        assert binary.search == ("/usr/lib/postgresql/15/bin",)
    assert {binary.supported for binary in service().binaries} == {("15", "18")}


@pytest.mark.parametrize(
    ("machine", "share"),
    [(512, 128), (1000, 128), (2000, 128), (4000, 256), (8192, 1024), (24105, 1024), (1 << 20, 1024)],
)
def test_the_share_of_the_machine_is_modest(machine: int, share: int) -> None:
    assert server.modest_share(machine) == share


@pytest.mark.parametrize("memory", [64, 128, 1024, 65536])
@pytest.mark.parametrize("connections", [10, 100, 1000])
def test_sizes_are_what_the_server_accepts(memory: int, connections: int) -> None:
    sizes = server.sizes(memory, connections)
    assert sizes["shared_buffers"] == memory // 4 >= 16
    assert sizes["work_mem"] >= 4096
    assert sizes["shared_buffers"] < sizes["effective_cache_size"] < memory


# --------------------------------------------------------------------------------------------------- passwords


def test_a_verifier_is_recognised() -> None:
    made = (  # RFC 7677, section 3
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )
    assert verifies(made, "pencil")
    assert not verifies(made, "pencils")
    assert not verifies("md5c4ca4238a0b923820dcc509a6f75849b", "pencil")


# -------------------------------------------------------------------------------------------------- migrations


def write(folder: Path, name: str, body: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(body if isinstance(body, bytes) else body.encode())
    return file


def test_files_keep_their_order_and_have_one_name(tmp_path: Path) -> None:
    files = [write(tmp_path, name, "SELECT 1;") for name in ("2.sql", "10.sql", "1.sql")]
    assert [found.name for found in sqlfile.read(files)] == ["2.sql", "10.sql", "1.sql"]
    (tmp_path / "more").mkdir()
    with pytest.raises(PreconditionError, match=r"two migrations are called 1\.sql"):
        sqlfile.read([*files, write(tmp_path / "more", "1.sql", "SELECT 2;")])


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(PreconditionError, match=r"absent\.sql: No such file"):
        sqlfile.read([tmp_path / "absent.sql"])
    with pytest.raises(PreconditionError, match=r"latin\.sql: byte 8 is not UTF-8"):
        sqlfile.read([write(tmp_path, "latin.sql", b"SELECT '\xe4';")])


@pytest.mark.parametrize(
    ("text", "transactional"),
    [
        ("SELECT 1;", True), ("-- no-transaction\nSELECT 1;", False), ("--NO-TRANSACTION\nSELECT 1;", False),
        ("\ufeff-- no-transaction: an index\nSELECT 1;", False), ("\n-- no-transaction\nSELECT 1;", True),
        ("-- no-transactions here", True), ("", True),
    ],
)  # fmt: skip
def test_the_first_line_says_whether_it_is_a_transaction(tmp_path: Path, text: str, transactional: bool) -> None:
    (found,) = sqlfile.read([write(tmp_path, "1.sql", text)])
    assert found.transactional is transactional


def test_positions_become_lines() -> None:
    migration = sqlfile.Migration("1.sql", "ä\nb\n\nc", "")
    assert [migration.line(position) for position in ("1", "2", "3", "5", "6", None)] == [
        " line 1", " line 1", " line 2", " line 3", " line 4", "",
    ]  # fmt: skip


def test_pending_is_what_is_not_recorded(tmp_path: Path) -> None:
    one, two = sqlfile.read([write(tmp_path, "1.sql", "SELECT 1;"), write(tmp_path, "2.sql", "SELECT 2;")])
    assert sqlfile.pending([one, two], {}) == [one, two]
    assert sqlfile.pending([one, two], {"1.sql": one.checksum, "0.sql": "gone"}) == [two]
    with pytest.raises(PreconditionError, match=r"1\.sql: has changed") as caught:
        sqlfile.pending([one, two], {"1.sql": two.checksum})
    assert "new migration" in caught.value.hint


def test_errors_without_an_answer_of_the_server() -> None:
    lost = explained(psycopg.OperationalError("consuming input failed: server closed the connection\n\tunexpectedly"))
    assert isinstance(lost, ServiceError)
    assert lost.message == "server closed the connection"
    assert "inv logs" in lost.hint
    wrong = explained(
        psycopg.ProgrammingError("COPY cannot be used with this method"), "1.sql: ", "nothing was applied"
    )
    assert isinstance(wrong, ProcessError)
    assert (wrong.message, wrong.hint) == ("1.sql: COPY cannot be used with this method", "nothing was applied")
