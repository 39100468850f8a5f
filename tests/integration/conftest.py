"""One real stack for the whole session (see ../conftest.py), and others for the tests that need one of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from driving import Pipeline


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Pipeline]:
    """A second checkout, with nothing running, where only root may enter; whatever a test starts is purged."""
    made = Pipeline(tmp_path)
    try:
        yield made
    finally:
        made.configure()
        made.run("down", "--purge", "--json")
