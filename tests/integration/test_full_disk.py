"""A disk that is full in the middle of a deploy: a real one, small, mounted where the stack's directory is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from driving import Outcome, Pipeline

from adaf_pipeline.testing.load import Load

ROOMY = "3g"  # what a deploy wants to see before it builds; memory is taken only by what is written
PAGE = 4096


class SmallDisk:
    """A tmpfs over the stack's directory. Shrinking it to what is used fills it at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self) -> str:
        """Why not, or ""."""
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={ROOMY},mode=0755", "adaf-test", str(self.folder)],
            capture_output=True,
            text=True,
        )
        return done.stderr.strip()

    def resize(self, size: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.folder)], check=True)

    def fill(self, *, leave: int = 0) -> None:
        """Until ``leave`` pages are free. What is written meanwhile takes room: then once more."""
        for _ in range(50):
            status = os.statvfs(self.folder)
            used = status.f_blocks - status.f_bfree
            done = subprocess.run(
                ["mount", "-o", f"remount,size={(used + leave) * PAGE}", str(self.folder)], capture_output=True
            )
            if done.returncode == 0:
                return
        raise AssertionError(done.stderr)

    def unmount(self) -> None:
        for options in ((), ("-l",)):
            if subprocess.run(["umount", *options, str(self.folder)], capture_output=True).returncode == 0:
                return


@pytest.fixture
def small(place: Path) -> Iterator[tuple[Pipeline, SmallDisk]]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = Path(tempfile.mkdtemp(prefix="small-", dir=place))
    folder.chmod(0o755)
    pipeline = Pipeline(folder)
    disk = SmallDisk(pipeline.state())
    refused = disk.mount()
    try:
        if refused:
            pytest.skip(f"no small disk can be mounted here: {refused}")
        yield pipeline, disk
    finally:
        if not refused:
            disk.resize(ROOMY)
        pipeline.configure()
        pipeline.run("down", "--purge", "--json")
        disk.unmount()
        shutil.rmtree(disk.folder, ignore_errors=True)


def events(state: Path, done: Outcome) -> list[tuple[str, str]]:
    lines = (state / "runs" / f"{done.document['run']}.jsonl").read_text().splitlines()
    return [(event["kind"], event["step"]) for event in map(json.loads, lines)]


def test_a_deploy_that_meets_a_full_disk_is_taken_back_and_says_so(small: tuple[Pipeline, SmallDisk]) -> None:
    pipeline, disk = small
    pipeline.remember(pipeline.good()["url"])
    release = pipeline.good()["release"]
    reserve = disk.folder / "reserve"
    assert reserve.stat().st_blocks * 512 == 4 * 2**20

    load = Load(pipeline.url, connections=4, mode="mixed", methods=("GET", "POST"), rate=60, seconds=120).start()
    pipeline.change()
    child = pipeline.start("deploy", "--canary", "--json")
    pipeline.reach(child, "canary-25")
    disk.fill()
    done = pipeline.finish(child)
    report = load.stop()
    assert done.code in (4, 6), done.stdout + done.stderr
    assert "undo_failed" not in done.document, done.document
    assert pipeline.live()[0] == release and pipeline.get() == (200, release)
    assert not report.lost and set(report.statuses) == {"200"}, report.statuses
    assert not reserve.exists()
    told = events(disk.folder, done)
    assert ("undone", "canary-25") in told and told[-1] == ("end", "")
    assert [kind for kind, step in told if step.startswith("start-")][-1] == "undone"

    # full again: nothing is begun, with two lines about it; what helps goes on
    disk.fill()
    refused = pipeline.run("deploy", "--canary")
    lines = refused.stderr.strip().splitlines()
    assert refused.code == 6 and lines[-2].startswith(f"error: the file system {disk.folder} is full (0 bytes free)")
    assert lines[-1].startswith("hint: `inv prune`")
    (disk.folder / "builds/web/output").mkdir()  # a directory takes no page
    assert [item["path"] for item in pipeline.ok("prune")["removed"]] == ["builds/web/output"]

    # room again: the next run makes the reserve again
    disk.resize(ROOMY)
    assert pipeline.good()["release"] != release
    assert reserve.stat().st_blocks * 512 == 4 * 2**20


def test_visitors_are_served_on_a_full_disk_and_a_rollback_uses_the_reserve(small: tuple[Pipeline, SmallDisk]) -> None:
    pipeline, disk = small
    pipeline.remember(pipeline.good()["url"])
    first = pipeline.status()["release"]
    pipeline.good()
    disk.fill()
    report = Load(pipeline.url, connections=4, mode="mixed", methods=("GET", "POST"), requests=3000, seconds=60).run()
    assert report.sent == 3000 and not report.lost and set(report.statuses) == {"200"}  # no logger holds them up
    assert pipeline.ok("rollback")["release"] == first
    assert pipeline.get() == (200, first) and not (disk.folder / "reserve").exists()
    disk.resize(ROOMY)
    assert pipeline.status()["ok"]
