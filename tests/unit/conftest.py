"""Unit tests touch no network and start no programs: trying to is a failure."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from deploy_world import FAST, World

from adaf_pipeline.stack import Stack
from adaf_pipeline.testing.balancer import FakeBalancer
from adaf_pipeline.testing.stack import fake_stack
from adaf_pipeline.workflows import processes, rollback, watch
from adaf_pipeline.workflows.receipt import Result as Probed


@pytest.fixture(autouse=True)
def nothing_outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a unit test tried to reach the world")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "bind", refuse)
    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    yield


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()

    class Stream:
        def __init__(self, *_args: object, **_more: object) -> None: ...

        missed = 0

        def start(self) -> None: ...

        def stop(self) -> None: ...

        def close(self) -> None: ...

        def results(self) -> tuple[Probed, ...]:
            made.step()
            return tuple(made.probed)

    monkeypatch.setattr(watch.probe, "ProbeStream", Stream)
    monkeypatch.setattr(watch, "TICK", 0.02)
    monkeypatch.setattr(watch, "GLANCE", 0.01)
    monkeypatch.setattr(watch, "SAY", 0.05)
    monkeypatch.setattr(rollback, "AFTER", 0)
    monkeypatch.setattr(processes, "STAYS", 0.05)
    monkeypatch.setattr(processes, "LOOK", 0.01)
    return made


@pytest.fixture
def stack(tmp_path: Path, world: World) -> Iterator[Stack]:
    made = fake_stack(tmp_path, FAST)
    world.balancer = cast(FakeBalancer, made.balancer)
    yield made
