"""Fixtures that every kind of test shares."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from driving import Pipeline


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """A folder that every account may enter; pytest's own temporary folders are root's alone."""
    made = Path(tempfile.mkdtemp(prefix="adaf-test-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def pipeline(place: Path) -> Iterator[Pipeline]:
    """A stack with one good release live and another one warm."""
    folder = place / "checkout"
    folder.mkdir()
    made = Pipeline(folder)
    try:
        made.remember(made.good()["url"])
        made.good()
        yield made
    finally:
        done = made.run("down", "--purge", "--json")
        assert done.code == 0, done.stderr
