"""Sizes in status: right, bounded in time, and no link is followed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from adaf_pipeline.roles import Kept
from adaf_pipeline.stack import Stack
from adaf_pipeline.workflows import disk as disk_module
from adaf_pipeline.workflows.disk import disk
from adaf_pipeline.workflows.sizes import Size, human, measure


def later() -> float:
    return time.monotonic() + 60


def test_a_tree_counts_its_blocks_once_and_follows_no_link(tmp_path: Path) -> None:
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    (tree / "a").mkdir(parents=True)
    outside.mkdir()
    (outside / "big").write_bytes(b"x" * 10_000_000)
    (tree / "a" / "file").write_bytes(b"x" * 1_000_000)
    os.link(tree / "a" / "file", tree / "twice")
    (tree / "link").symlink_to(outside)
    with open(tree / "sparse", "wb") as sink:
        sink.truncate(50_000_000)
    size = measure([tree, tmp_path / "nothing"], later())
    assert size.whole and 1_000_000 <= size.bytes < 1_200_000


def test_what_could_not_be_counted_in_time_is_at_least(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / str(number)).write_bytes(b"x" * 4096)
    assert not measure([tmp_path], time.monotonic() - 1).whole
    assert str(Size(3 * 2**20, False)) == "at least 3.0 MB"
    assert str(Size(5, True) + Size(2, False)) == "at least 7 B"


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (1023, "1023 B"), (4096, "4 KB"), (2**20, "1.0 MB"), (2**30 * 1.5, "1.5 GB"), (2**41, "2048.0 GB")],
)
def test_sizes_for_people(count: float, said: str) -> None:
    assert human(int(count)) == said


def test_what_the_stack_takes(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("releases/0123456789ab/a", "logs/web.1/current", "volumes/database.1/data/a"):
        (stack.state / name).parent.mkdir(parents=True)
        (stack.state / name).write_bytes(b"x" * 8192)
    kept = [Kept("logs", "web.1", stack.state / "logs/web.1"), Kept("data", "database.1", stack.state / "volumes")]
    monkeypatch.setattr(stack.runtime, "kept", lambda: kept)
    found = disk(stack)
    assert found["sizes"]["releases"]["bytes"] >= 8192 <= found["sizes"]["logs"]["bytes"]
    assert found["data"]["database.1"]["bytes"] >= 8192 and found["data"]["database.1"]["whole"]
    assert found["sizes"]["builds"] == {"bytes": 0, "whole": True}


def test_a_big_directory_takes_a_short_time(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow each look is: here every one of them takes a hundredth of a second."""
    (stack.state / "runs").mkdir()
    for number in range(500):
        (stack.state / "runs" / str(number)).touch()
    look = os.lstat

    def slow(path: str) -> os.stat_result:
        time.sleep(0.01)
        return look(path)

    monkeypatch.setitem(measure.__globals__, "os", SimpleNamespace(**{**vars(os), "lstat": slow}))
    began = time.monotonic()
    found = disk(stack)
    assert not found["sizes"]["journals"]["whole"] and time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("total_gb", "free_gb", "low"), [(100, 50, False), (100, 9, True), (5, 0.9, True), (5, 1.1, False)]
)
def test_when_it_is_low(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, total_gb: float, free_gb: float, low: bool
) -> None:
    usage = SimpleNamespace(total=int(total_gb * 2**30), free=int(free_gb * 2**30))
    monkeypatch.setattr(disk_module.shutil, "disk_usage", lambda _folder: usage)
    assert disk(stack)["low"] is low
