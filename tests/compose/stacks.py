"""The fixtures of everything that runs on an engine: conftest.py names them here and in tests/bench.

Without root, or where no engine can be had, each test that asks for one is skipped, and the summary counts them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import engines
import pytest
from prod import BASE, Prod

from private_engine.engine import Engine


@pytest.fixture(scope="session")
def engine() -> Iterator[None]:
    """One answers, from here on; what we started is stopped, and on what was there nothing of ours is left."""
    if os.geteuid() != 0:
        pytest.skip("not root: the files of a stack on Compose have owners, and only root starts an engine")
    if engines.answers():
        yield
        assert engines.left() == []
        return
    made = engines.own(engines.PLACES / "engine", apart=False)
    try:
        with engines.reached(made):
            yield
    finally:
        made.stop()  # an EngineError names what is left


@pytest.fixture(scope="session")
def images(engine: None, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """All that a stack of the tests needs, made once: a base from Debian's packages, and on it what the plugin builds."""
    engines.base(BASE)
    stack = Prod(tmp_path_factory.mktemp("images"))
    try:
        return [BASE, *stack.images()]
    finally:
        stack.purge()


@pytest.fixture(scope="session")
def prod(images: list[str], place: Path) -> Iterator[Prod]:
    """A stack with one good release live and another one warm."""
    yield from made(place / "prod")


@pytest.fixture
def other(images: list[str], tmp_path: Path) -> Iterator[Prod]:
    """A second stack on the same host, with nothing running yet."""
    yield from made(tmp_path, releases=0)


@pytest.fixture(scope="session")
def dark(images: list[str]) -> Iterator[Engine]:
    """The engine that faults happen to: in a network namespace of its own, with the images of the other one."""
    found = engines.own(engines.PLACES / "second", apart=True)
    try:
        engines.carry(images, found)
        yield found
    finally:
        found.stop()


@pytest.fixture(scope="module")
def house(dark: Engine, place: Path) -> Iterator[Prod]:
    """A stack on that engine; meanwhile this process is where its visitors are."""
    with engines.within(dark.netns), engines.reached(dark):
        yield from made(place / "house")


def made(folder: Path, releases: int = 2) -> Iterator[Prod]:
    """A stack with so many releases deployed: the last is live, the one before warm."""
    folder.mkdir(exist_ok=True)
    stack = Prod(folder)
    try:
        for _ in range(releases):
            stack.good()
        yield stack
    finally:
        stack.purge()
