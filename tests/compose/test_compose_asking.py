"""Engines that are dead or hang: two lines, and nobody waits long. No engine is needed."""

from __future__ import annotations

import gc
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adaf_compose import program
from adaf_compose.images import Images
from adaf_compose.observe import containers
from adaf_compose.program import Program
from adaf_pipeline.errors import PreconditionError

ASK: dict[str, Callable[[Path], object]] = {
    "containers": lambda place: list(containers(Program(), "shop", place)),
    "images": lambda place: Images(Program(), place, {}, "shop", place).there("adaf/x:1"),
    "before a build": lambda _place: Program().client,
}


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """The SDK leaves a socket open when its first question is not answered."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def hung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A socket that takes every question and answers none."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen(8)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/s")
        monkeypatch.setattr(program, "LOOK", 0.2)
        yield


@pytest.mark.parametrize("what", ASK)
def test_an_engine_that_hangs_hangs_nobody_who_looks(hung: None, tmp_path: Path, what: str) -> None:
    began = time.monotonic()
    with pytest.raises(PreconditionError, match=r"the engine at unix:///.* does not answer"):
        ASK[what](tmp_path)
    assert time.monotonic() - began < 5


def test_who_asks_much_of_an_engine_that_hangs_waits_once(
    hung: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "LOOK", 1.0)
    asked, began = Program(), time.monotonic()
    for _ in range(5):
        with pytest.raises(PreconditionError, match="does not answer"):
            list(containers(asked, "shop", tmp_path))
    assert 1 <= time.monotonic() - began < 2.5


@pytest.mark.parametrize("what", ASK)
def test_an_engine_that_is_dead_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere")
    with pytest.raises(PreconditionError, match=r"nowhere does not answer") as dead:
        ASK[what](tmp_path)
    assert dead.value.hint == "systemctl start docker, or correct DOCKER_HOST"
