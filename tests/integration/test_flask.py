"""A Flask application by configuration alone, with DATABASE_URL in its environment: the page's own text, really run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from documented import Documented, deployed


@pytest.fixture(scope="module")
def flask() -> Iterator[Documented]:
    with deployed("Flask, with gunicorn") as made:
        yield made


def processes() -> Iterator[tuple[Path, bytes, bytes]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            yield folder, (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue


def test_it_serves_from_its_own_packages(flask: Documented) -> None:
    status = flask.status()
    assert flask.page() == ("hello\n", status["release"])
    release = flask.state() / "releases" / status["release"]
    assert (release / ".packages" / "flask" / "__pycache__").is_dir()
    maps = [(folder / "maps").read_bytes() for folder, argv, _ in processes() if b"\0gunicorn\0" in argv]
    assert any(f"{release}/.packages/psycopg".encode() in loaded for loaded in maps)


def test_the_password_is_in_the_environment_of_that_application_and_nowhere_else(flask: Documented) -> None:
    state = flask.state()
    secret = (state / "secrets" / "database-app" / "value").read_bytes()
    assert len(secret) > 30
    holders = [(folder, argv) for folder, argv, environment in processes() if secret in environment]
    assert holders and all(b"\0gunicorn\0" in argv for _, argv in holders)
    assert not [argv for _, argv, _ in processes() if secret in argv]
    url = next(
        word.partition(b"=")[2]
        for folder, _ in holders
        for word in (folder / "environ").read_bytes().split(b"\0")
        if word.startswith(b"DATABASE_URL=")
    )
    parts = urlsplit(url.decode())
    assert (parts.scheme, parts.username, parts.password) == ("postgresql", "app", secret.decode())
    looked, found = 0, []
    for folder, folders, names in os.walk(state):
        if Path(folder) == state:
            folders.remove("secrets")
        for path in (Path(folder) / name for name in names):
            if path.is_file() and not path.is_symlink():
                looked += 1
                found += [path] if secret in path.read_bytes() else []
    assert looked > 500 and found == []


def test_doctor_names_it_and_finds_the_interpreter(flask: Documented) -> None:
    said = [finding["what"] for finding in flask.ok("doctor")["findings"]]
    assert "DATABASE_URL: secret database-app in the environment" in said
    assert any(re.match(r"python3 3\.\d+", line) for line in said)


def test_a_change_goes_live_through_a_canary(flask: Documented) -> None:
    flask.edit("app.py", 'return "hello\\n"', 'return "changed\\n"')
    document = flask.ok("deploy", "--canary")
    assert [step for step in document["steps"] if step["id"] == "canary-25"]
    assert [verdict["outcome"] for verdict in document["verdict"]] == ["pass", "pass"]
    assert (document["receipt"]["lost"], document["receipt"]["errors"]) == (0, 0)
    assert flask.page() == ("changed\n", document["release"])


def test_uvicorn_takes_its_place(flask: Documented) -> None:
    flask.edit("adaf.yaml", "server: gunicorn", "server: uvicorn")
    refused = flask.run("deploy", "--canary", "--json")
    assert refused.code == 2 and "uvicorn is not in requirements.txt" in refused.document["error"]
    flask.edit("requirements.txt", "gunicorn>=23", "uvicorn>=0.30\na2wsgi>=1.10")
    flask.edit("app.py", "app = Flask(__name__)", "app = flask_app = Flask(__name__)")
    with open(flask.folder / "app.py", "a") as file:
        file.write("\n\nfrom a2wsgi import WSGIMiddleware\n\napp = WSGIMiddleware(flask_app)\n")
    document = flask.ok("deploy")
    assert flask.page() == ("changed\n", document["release"])
    assert document["receipt"]["lost"] == 0
