"""The engine of the session. Without root, or where none can be had, every test is skipped, and the summary counts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import engines
import pytest

from private_engine.engine import Engine


@pytest.fixture(scope="session")
def engine() -> Iterator[None]:
    """One answers, from here on; what we started is stopped, and on what was there nothing of ours is left."""
    if os.geteuid() != 0:
        pytest.skip("neither root nor an engine that root started: the stack's files have owners")
    if engines.answers():
        before = engines.There.now()
        yield
        assert engines.settled(before) == []
        return
    made = engines.own(engines.PLACES / "engine", apart=False)
    try:
        with engines.reached(made):
            yield
    finally:
        made.stop()  # an EngineError names what is left


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Engine]:
    """A second engine of our own, in a network namespace of its own, for what must not happen to the machine's."""
    if os.geteuid() != 0:
        pytest.skip("an engine of one's own needs root")
    made = engines.own(engines.PLACES / "second", apart=True)
    try:
        yield made
    finally:
        made.stop()
