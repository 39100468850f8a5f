"""The app backend ``python``."""

from __future__ import annotations

import importlib
import os
import shutil
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

import adaf_python
from adaf_pipeline.errors import AdafError, ConfigError, PreconditionError, ProcessError
from adaf_pipeline.process import Account, Completed
from adaf_pipeline.roles import App, Binding, Problem, StackView, Workplace
from adaf_pipeline.service import Ref, SecretUse, text
from adaf_python import packages, typecheck
from adaf_python.backend import PythonApp
from adaf_python.copies import copied
from adaf_python.layout import MTIME

DATABASE = Binding(
    {"DATABASE_HOST": text(Ref("endpoint", "database", "primary", "host"))}, (SecretUse("database-app"),)
)
CACHE = Binding(
    {"REDIS_URL": text("redis://"), "BOTH": text("cache")}, (SecretUse("cache-app"), SecretUse("database-app"))
)
TINY = Path(__file__).parents[1] / "apps" / "tiny"


def make(path: Path, **settings: object) -> PythonApp:
    stack = SimpleNamespace(
        database=SimpleNamespace(binding=lambda: DATABASE),
        cache=SimpleNamespace(binding=lambda: CACHE),
        account=None,
        state=path.parent / "stack",
    )
    app = PythonApp(msgspec.convert(settings, PythonApp.Settings), cast(StackView, stack))
    app.name, app.path = "web", path
    return app


def place(folder: Path, source: Path) -> Workplace:
    (folder / "output").mkdir()
    return Workplace(source, folder / "output", folder / "log", lambda _line: None)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "app"
    for name, body in {
        "app.py": "print('hello')\n",
        "lib/part.py": "X = 1\n",
        "lib/__pycache__/part.cpython-311.pyc": "",
        "migrations/0002_b.sql": "",
        "migrations/0001_a.sql": "",
        "migrations/README.md": "",
        ".env": "SECRET=1",
        ".git/config": "",
        ".venv/pyvenv.cfg": "",
        "venv/pyvenv.cfg": "",
        "static/a b.txt": "",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(body)
    return root


def test_the_plugin_names_a_class_that_fills_the_role() -> None:
    (backend,) = adaf_python.adaf_backends()
    module, _, name = backend.target.partition(":")
    assert (backend.role, backend.name) == ("app", "python")
    assert issubclass(getattr(importlib.import_module(module), name), App)


def test_inputs_are_the_files_without_caches_environments_and_dot_files(source: Path) -> None:
    assert make(source).inputs() == (
        "app.py",
        "lib/part.py",
        "migrations/0001_a.sql",
        "migrations/0002_b.sql",
        "migrations/README.md",
        "static/a b.txt",
    )


def test_the_tiny_application_is_fine() -> None:
    app = make(TINY)
    app.check()
    assert [path.name for path in app.migrations(TINY, "r1").files] == ["0001_init.sql"]


@pytest.mark.parametrize(
    ("files", "settings", "kind", "said"),
    [
        ({}, {"entry": "main.py"}, ConfigError, "apps/web/entry: main.py is not among"),
        ({}, {"entry": "../app.py"}, ConfigError, "apps/web/entry"),
        ({}, {"environment": {"PORT": "1"}}, ConfigError, "apps/web/environment/PORT"),
        ({}, {"port": "LISTEN", "environment": {"LISTEN": "1"}}, ConfigError, "environment/LISTEN"),
        ({}, {"requirements": "more.txt"}, ConfigError, "apps/web/requirements: more.txt is not among"),
        ({"requirements.txt": "x"}, {"environment": {"PYTHONPATH": "1"}}, ConfigError, "environment/PYTHONPATH"),
        ({}, {"server": "gunicorn"}, ConfigError, "apps/web/server: gunicorn is not in requirements.txt"),
        ({"requirements.txt": "flask\n#gunicorn"}, {"server": "gunicorn"}, ConfigError, "gunicorn is not in"),
        ({}, {"server": "uvicorn", "entry": "app.py"}, ConfigError, "apps/web/entry: app.py is not MODULE:OBJECT"),
        ({}, {"server": "uvicorn", "entry": "lib.no:app"}, ConfigError, "apps/web/entry: lib/no.py is not among"),
        ({"lib/bad.py": "def f(:\n"}, {}, PreconditionError, r"apps/web: lib/bad.py:1: "),
        ({"bad.py": "a = '\0'"}, {}, PreconditionError, "bad.py"),
    ],
)
def test_what_cannot_be_built_is_refused_with_its_place(
    source: Path, files: dict[str, str], settings: dict[str, object], kind: type[AdafError], said: str
) -> None:
    for name, body in files.items():
        (source / name).write_text(body)
    with pytest.raises(kind, match=said) as caught:
        make(source, **settings).check()
    assert caught.value.hint


def test_a_link_to_a_file_or_a_directory_is_refused(source: Path, tmp_path: Path) -> None:
    for target in (tmp_path, source / "app.py"):
        link = source / "link"
        link.symlink_to(target)
        with pytest.raises(PreconditionError, match="link is a symbolic link"):
            make(source).check()
        link.unlink()


def test_comments_are_no_requirements_and_warnings_no_errors(source: Path) -> None:
    (source / "requirements.txt").write_text("# nothing\n\n")
    (source / "old.py").write_text("import re\nre.compile('\\d')\n")
    make(source).check()


def test_equal_inputs_give_equal_artefacts(source: Path, tmp_path: Path) -> None:
    (source / "app.py").chmod(0o700)
    (source / "lib" / "part.py").chmod(0o600)
    there = place(tmp_path, source)
    app = make(source)
    app.build(there)
    found = {p.relative_to(there.output).as_posix(): p.stat() for p in there.output.rglob("*")}
    assert {name for name, stat in found.items() if not stat.st_mode & 0o040000} == set(app.inputs())
    assert oct(found["app.py"].st_mode & 0o777) == "0o755"
    assert oct(found["lib/part.py"].st_mode & 0o777) == "0o644"
    assert {stat.st_mtime for stat in found.values()} == {MTIME}
    assert "6 files" in there.log.read_text()


def test_what_the_account_planted_in_its_copy_leads_nobody_astray(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of root")
    there = place(tmp_path, tmp_path / "copy")
    shutil.copytree(source, there.source)
    (there.source / "planted.txt").symlink_to(secret)  # by the setup.py of a package, in an earlier build
    (there.source / "left.py").write_text("")
    app = make(source)
    app.build(there)
    assert not {"planted.txt", "left.py"} & {path.name for path in there.output.rglob("*")}
    (there.source / "app.py").unlink()
    (there.source / "app.py").symlink_to(secret)
    shutil.rmtree(there.output)
    there.output.mkdir()
    with pytest.raises(OSError, match="symbolic links"):
        app.build(there)


def test_files_are_laid_out_by_the_account_where_there_is_one(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, seen = Account("adaf", 990, 990, tmp_path), []

    def run(words: list[str], **more: Any) -> Completed:
        seen.append((words, more))
        return Completed(tuple(words), 0, "", "")

    monkeypatch.setattr("adaf_python.backend.run", run)
    app, there = make(source), place(tmp_path, source)
    runtime = SimpleNamespace(resolve=lambda _ref: "py")
    vars(app.stack).update(account=account, state=tmp_path, runtime=runtime)
    app.build(there)
    [(words, more)] = seen
    assert not list(there.output.iterdir()), "not one byte of it by us"
    assert (words[0], words[-2:], more["account"]) == ("py", [str(source), str(there.output)], account)
    assert more["stdin"].split(b"\0") == [os.fsencode(name) for name in app.inputs()]


def test_the_service_of_a_colour() -> None:
    app = make(TINY, environment={"BOTH": "mine"}, args=["--fast"], memory_mb=64, ready="/up")
    service = app.service("blue", 1, "r1")
    assert (service.id, service.role, service.package, service.colour) == ("web.blue.1", "app", "r1", "blue")
    assert service.argv == (
        (Ref("binary", "", "python3"),),
        ("-u",),
        (Ref("path", "web.blue.1", "package"), "/app.py"),
        ("--fast",),
    )
    assert service.environment["PORT"] == (Ref("instance", "web.blue.1", "http", "port"),)
    assert service.environment["ADAF_RELEASE"] == ("r1",)
    assert service.environment["DATABASE_HOST"] == DATABASE.environment["DATABASE_HOST"]
    assert service.environment["BOTH"] == ("mine",)
    assert service.secrets == (SecretUse("database-app"), SecretUse("cache-app"))
    assert service.ready and service.ready.http == "/up" and service.ports[0].name == service.ready.port
    assert service.start_after == ("database", "cache") and service.limits.memory_mb == 64
    assert service.digest() != app.service("green", 1, "r1").digest() != app.service("green", 1, "r2").digest()


@pytest.mark.parametrize("entry", ["app:app", "lib.part:make()", "package:app"])
def test_a_server_in_the_requirements_serves_what_the_entry_names(source: Path, entry: str) -> None:
    (source / "package").mkdir()
    (source / "package" / "__init__.py").touch()
    (source / "requirements.txt").write_text("flask>=3\nGunicorn[x]==23 --hash=sha256:00\n")
    app = make(source, server="gunicorn", entry=entry, args=["--workers=2"], stop_grace=5)
    app.check()
    service = app.service("blue", 1, "r1")
    words = [word[0] for word in service.argv]
    assert words[1:4] == ["-u", "-m", "gunicorn"] and words[-2:] == ["--workers=2", entry]
    assert words[words.index("--bind") + 1] == Ref("instance", "web.blue.1", "http")
    assert words[words.index("--graceful-timeout") + 1] == "4"
    assert service.environment["PYTHONPATH"] == (Ref("path", "web.blue.1", "package", ".packages"),)


def test_uvicorn_is_told_host_and_port() -> None:
    words = [word[0] for word in make(TINY, server="uvicorn").service("blue", 1, "r1").argv]
    assert words[words.index("--port") + 1] == Ref("instance", "web.blue.1", "http", "port")
    assert words[words.index("--host") + 1] == Ref("instance", "web.blue.1", "http", "host")
    assert words[-1] == "app:app"


@pytest.mark.parametrize(
    ("lines", "kind", "said"),
    [
        (
            ["ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."],
            ProcessError,
            "not what its hash",
        ),
        (
            ["ERROR: In --require-hashes", "Hashes are required in --require-hashes mode"],
            PreconditionError,
            "not for all",
        ),
        (
            ["WARNING: Retrying NewConnectionError", "ERROR: No matching distribution found for x"],
            ProcessError,
            "reach",
        ),
        (["ERROR: No matching distribution found for flask==99"], PreconditionError, "there is no flask==99"),
        (["ERROR: Invalid requirement: '!!': Expected"], PreconditionError, "not a requirement: '!!'"),
        (["building", "ERROR: wheels are round"], ProcessError, "pip: wheels are round"),
        ([], ProcessError, "pip exited 1"),
    ],
)
def test_pips_failures_name_the_remedy(lines: list[str], kind: type[AdafError], said: str) -> None:
    found = packages.failure("apps/web: requirements.txt", ProcessError("pip exited 1", "look"), lines)
    assert type(found) is kind and said in found.message and found.hint
    assert found.message.startswith("apps/web: requirements.txt: ")


def test_the_way_to_the_index_is_passed_on_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:password@index/packages")
    monkeypatch.setenv("PIP_CERT", "/a.pem")
    monkeypatch.setenv("https_proxy", "http://proxy:1")
    monkeypatch.setenv("AWS_SECRET", "x")
    found = packages.surroundings()
    assert found["PIP_CERT"] == "/a.pem" and found["https_proxy"] == "http://proxy:1"
    assert "PIP_INDEX_URL" not in found and "AWS_SECRET" not in found


@pytest.mark.parametrize(
    "wrong",
    [{"stop_grace": -1}, {"memory_mb": -1}, {"ready": "nope"}, {"live": ""}, {"port": "A B"}, {"server": "apache"}],
)
def test_settings_are_in_their_ranges(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        make(TINY, **wrong)


def test_migrations_are_in_the_order_of_their_names(source: Path) -> None:
    assert [path.name for path in make(source).migrations(source, "r1").files] == ["0001_a.sql", "0002_b.sql"]
    assert make(source, migrations="none").migrations(source, "r1").files == ()


def test_settings_know_their_keys() -> None:
    with pytest.raises(msgspec.ValidationError, match="entri"):
        make(TINY, entri="x")


MYPY = """lib/part.py:3: error: Incompatible types in assignment (expression has type "str")  [assignment]
lib/part.py:3: note: See https://example.org
app.py: error: Source file found twice under different module names
app.py:9: error: Name "x" is not defined  [name-defined]
"""


def mypy(monkeypatch: pytest.MonkeyPatch, code: int, out: str, err: str = "") -> list[Any]:
    calls: list[Any] = []

    def run(argv: list[str], **how: Any) -> Completed:
        calls.append((argv, how))
        return Completed(tuple(argv), code, out, err)

    monkeypatch.setattr(typecheck, "run", run)
    return calls


def test_mypys_words_become_problems(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = mypy(monkeypatch, 1, MYPY)
    there = place(tmp_path, source)
    assert make(source, typecheck=True).typecheck(there) == (
        Problem("lib/part.py", 3, "assignment", 'Incompatible types in assignment (expression has type "str")'),
        Problem("app.py", 0, "", "Source file found twice under different module names"),
        Problem("app.py", 9, "name-defined", 'Name "x" is not defined'),
    )
    assert calls[0][1]["cwd"] == source and os.devnull in calls[0][0]
    assert there.log.read_text() == MYPY


def test_a_type_check_that_did_not_happen_is_no_success(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mypy(monkeypatch, 2, "", "mypy: error: no such option\n")
    there = place(tmp_path, source)
    with pytest.raises(ProcessError, match="no such option"):
        make(source, typecheck=True).typecheck(there)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(PreconditionError, match="mypy"):
        make(source, typecheck=True).typecheck(there)
    (finding,) = make(source, typecheck=True).doctor()
    assert not finding.ok and finding.hint


def test_off_and_clean_are_both_without_problems(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = mypy(monkeypatch, 0, "")
    there = place(tmp_path, source)
    assert make(source).typecheck(there) == () and not calls and not list(make(source).doctor())
    assert make(source, typecheck=True).typecheck(there) == () and calls


def test_a_tool_is_copied_with_what_it_needs_to_where_every_account_may_read_it(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir(mode=0o700)
    made = copied("mypy", tools)
    assert (made / "mypy" / "__main__.py").is_file() or list((made / "mypy").glob("__main__*.so"))
    assert (made / "mypy_extensions.py").is_file(), "what mypy requires"
    assert not list(made.rglob("__pycache__")) and not (tmp_path / "bin").exists()
    assert all(place.stat().st_mode & 0o005 == 0o005 for place in (tools, made.parent, made, made / "mypy"))
    assert copied("mypy", tools) == made
    with pytest.raises(metadata.PackageNotFoundError):
        copied("no-such-tool", tools)
