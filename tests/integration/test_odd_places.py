"""Checkouts and state directories with odd names, and broken plugins in a checkout."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from people import Person, processes, refused, throwaway

from adaf_pipeline.process import Account

BROKEN = {
    "broken": "def (:\n",
    "lost": "import nothing_like_this\n",
    "script": "import sys\n\nsys.exit(3)\n",
    "misspelt": "from adaf_pipeline.hooks import impl\n\n\n@impl\ndef adaf_backend():\n    return []\n",
    "tasks": "from adaf_pipeline.hooks import impl\n\n\n@impl\ndef adaf_tasks():\n    raise ValueError('no')\n",
}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """A stack whose checkout has a name that shells hate, below a folder that no service may enter."""
    private = tmp_path_factory.mktemp("private")
    private.chmod(0o700)
    folder = private / "Größe  日本 'q' \"d\" $HOME;#%~"
    folder.mkdir()
    made = Person(folder, None)
    try:
        made.remember(made.good()["url"])
        yield made
    finally:
        made.configure()
        made.run("down", "--purge", "--json")


def test_a_release_goes_live_from_a_checkout_with_an_odd_name(odd: Person) -> None:
    assert odd.get() == (200, odd.live()[0])
    assert str(odd.folder) in odd.run("status").stdout
    assert (odd.state() / "checkout").read_text() == f"{odd.folder}\n"


# ---------------------------------------------------------------------------------------------------- plugins


@pytest.fixture
def broken(odd: Person) -> Iterator[Person]:
    folder = odd.folder / ".adaf" / "plugins"
    folder.mkdir(parents=True)
    for name, body in BROKEN.items():
        (folder / f"{name}.py").write_text(body)
    try:
        yield odd
    finally:
        for file in folder.glob("*.py"):
            file.unlink()
        with contextlib.suppress(OSError):
            (folder / "__pycache__").rmdir()
            folder.rmdir()


def test_a_broken_plugin_breaks_nothing_but_what_it_is_needed_for(broken: Person) -> None:
    done = broken.run("--list")
    assert done.code == 0
    assert "deploy" in done.stdout
    assert done.stderr == "warning: plugin file:tasks: adaf_tasks: ValueError: no\n"

    done = broken.run("plugins", "--json")
    assert (done.code, done.document["ok"]) == (0, False)
    reasons = done.document["broken"]
    assert sorted(reasons) == ["file:broken", "file:lost", "file:misspelt", "file:script", "file:tasks"]
    assert reasons["file:tasks"] == "adaf_tasks: ValueError: no"
    assert reasons["file:broken"].startswith("SyntaxError: ")
    assert "nothing_like_this" in reasons["file:lost"]
    assert "adaf_backend" in reasons["file:misspelt"]
    assert reasons["file:script"] == "SystemExit: 3"
    assert {row["name"] for row in done.document["backends"]} >= {"local", "redis", "postgres"}
    assert "! file:script is broken: SystemExit: 3" in broken.run("plugins").stdout

    assert broken.run("up", "--json").code == 0

    broken.configure("cache: mine\n")
    (broken.folder / ".adaf" / "plugins" / "tasks.py").unlink()  # warns with every command
    said = refused(broken.run("up"), 3)
    assert 'adaf.yaml: cache: no plugin provides cache "mine"' in said
    assert "available: redis; file:broken is broken: SyntaxError: " in said


# ------------------------------------------------------------------------------------------ state directories


@pytest.fixture(scope="module")
def user() -> Iterator[Account | None]:
    """Root's state is always in one place: with root somebody else has to choose."""
    if os.geteuid() != 0:
        yield None
    else:
        with throwaway() as made:
            yield made


@pytest.fixture
def chooser(user: Account | None, tmp_path: Path) -> Iterator[Person]:
    folder = (user.home if user else tmp_path) / f"checkout{time.monotonic_ns()}"
    folder.mkdir()
    made = Person(folder, user)
    yield made
    if user is None:
        made.run("down", "--purge", "--json")
    else:  # its home goes
        assert processes(user) == []


@pytest.mark.parametrize("name", ["d" * 60, "日" * 20], ids=["letters", "bytes"])
def test_a_socket_path_that_is_too_long_is_named_before_anything_starts(chooser: Person, name: str) -> None:
    home = chooser.folder.parent / name
    done = chooser.run("up", "--json", XDG_STATE_HOME=str(home))
    assert done.code == 6
    assert str(home) in done.document["error"] and "are too long for a socket" in done.document["error"]
    assert "set XDG_STATE_HOME to a folder whose name is" in done.document["hint"]
    assert not list(home.glob("adaf/*/s6"))


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("{home}/it's", "servers cannot be told of a path with '"),
        ("{home}/two\nlines", "servers cannot be told of a path with \\n"),
        ("{home}/adaf.yaml", "cannot be used: Not a directory"),
        ("/proc/nothing", "cannot be used: No such file or directory"),
    ],
)
def test_a_state_directory_that_cannot_be_is_refused(chooser: Person, place: str, why: str) -> None:
    said = refused(chooser.run("status", XDG_STATE_HOME=place.format(home=chooser.folder)), 6)
    assert why in said
    assert "hint: set XDG_STATE_HOME to a folder of yours with a plain name" in said


def test_a_relative_state_directory_is_ignored(chooser: Person) -> None:
    plan = chooser.run("down", "--plan", "--json", XDG_STATE_HOME="relative").document
    assert plan["facts"]["state"].startswith("/")
    assert sorted(path.name for path in chooser.folder.iterdir()) == ["adaf.yaml", "app", "ledger"]
