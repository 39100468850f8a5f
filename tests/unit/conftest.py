"""Unit tests touch no network and start no programs: trying to is a failure."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from deploy_world import FAST, World
from tried import CASES

from adaf_pipeline import reserve
from adaf_pipeline.stack import Stack
from adaf_pipeline.testing.balancer import FakeBalancer
from adaf_pipeline.testing.stack import fake_stack


@pytest.fixture(autouse=True)
def nothing_outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a unit test tried to reach the world")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "bind", refuse)
    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    yield


@pytest.fixture(autouse=True)
def small_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of stacks are made, and pytest keeps their folders."""
    monkeypatch.setattr(reserve, "SIZE", 65536)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    with made.instead_of_probes():
        yield made


@pytest.fixture
def stack(tmp_path: Path, world: World) -> Iterator[Stack]:
    made = fake_stack(tmp_path, FAST)
    world.balancer = cast(FakeBalancer, made.balancer)
    yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if CASES:
        said = ", ".join(f"{count:,} {what}" for what, count in sorted(CASES.items()))
        terminalreporter.write_line(f"bad input tried: {said}")
