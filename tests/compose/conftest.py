"""The fixtures, and a second engine for the tests of ci/engine itself."""

from __future__ import annotations

import os
from collections.abc import Iterator

import engines
import pytest
from stacks import dark, engine, house, images, other, prod

from private_engine.engine import Engine

__all__ = ["dark", "engine", "house", "images", "other", "prod"]


@pytest.fixture
def second() -> Iterator[Engine]:
    """An engine of our own, in a network namespace of its own."""
    if os.geteuid() != 0:
        pytest.skip("not root: nobody else starts an engine")
    made = engines.own(engines.PLACES / "third", apart=True)
    try:
        yield made
    finally:
        made.stop()
