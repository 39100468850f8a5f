"""Replicas and a worker on the real local stack: one set of workers, ever, and visitors on every replica."""

from __future__ import annotations

import os
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from driving import APPS, HASTY, UNLIMITED, Pipeline, until

from adaf_pipeline.testing.load import Load

WORKER = "replicas: {replicas}, workers: {{mail: [worker.py, --queue, mail]}}"


def configure(pipeline: Pipeline, replicas: int) -> None:
    app = APPS.format(ledger=pipeline.ledger)
    text = app.replace("path: app,", f"path: app, {WORKER.format(replicas=replicas)},")
    (pipeline.folder / "adaf.yaml").write_text(text + HASTY + UNLIMITED)


@pytest.fixture(scope="module")
def several(place: Path) -> Iterator[Pipeline]:
    """Two replicas and a worker."""
    folder = place / "several"
    folder.mkdir()
    made = Pipeline(folder)
    configure(made, 2)
    try:
        made.remember(made.good()["url"])
        yield made
    finally:
        done = made.run("down", "--purge", "--json")
        assert done.code == 0, done.stderr


def worked(pipeline: Pipeline) -> list[tuple[str, str]]:
    """What the workers noted: (begins or ends, release), and that they know who they are."""
    lines = [line.split() for line in pipeline.ledger.read_text().splitlines() if line.startswith("worker ")]
    assert all(line[3:] == ["mail", "--queue", "mail"] for line in lines)
    return [(line[1], line[2]) for line in lines]


def never_both(pipeline: Pipeline) -> bool:
    """Each worker ended before the next one began."""
    what = [what for what, _release in worked(pipeline)]
    return all(what[index] == ("begins", "ends")[index % 2] for index in range(len(what)))


def processes(pipeline: Pipeline) -> set[str]:
    """Process ids that answer 40 visitors."""
    found = set()
    for _ in range(40):
        with urllib.request.urlopen(pipeline.url, timeout=5) as answer:
            found.add(answer.headers["x-process"])
    return found


def service(pipeline: Pipeline, name: str) -> dict[str, object]:
    return next((s for s in pipeline.status()["services"] if s["name"] == name), {})


def test_visitors_are_on_every_replica_and_the_worker_works(several: Pipeline) -> None:
    release, colour = several.live()
    assert len(processes(several)) == 2
    assert worked(several) == [("begins", release)]
    names = {s["name"] for s in several.status()["services"] if s["role"] in ("app", "worker")}
    assert names == {f"web.{colour}.1", f"web.{colour}.2", "web.mail.1"}


def test_the_worker_switches_with_the_release_and_goes_back_with_it(several: Pipeline) -> None:
    first, _ = several.live()
    before = len(worked(several))
    second = several.good()["release"]
    assert worked(several)[before:] == [("ends", first), ("begins", second)]
    assert several.deploy(fail=0.5).code == 4
    assert worked(several)[before:] == [("ends", first), ("begins", second)], "a bad canary's worker never began"
    several.ok("rollback")
    assert worked(several)[before + 2 :] == [("ends", second), ("begins", first)]
    assert len(processes(several)) == 2
    assert never_both(several)


def test_a_worker_that_ends_at_once_takes_the_release_back(several: Pipeline) -> None:
    release, colour = several.live()
    done = several.deploy(worker="ends")
    assert done.code == 4, done.stdout + done.stderr
    assert "web.mail.1" in done.document["error"] and "does not stay up" in done.document["error"]
    assert several.live() == (release, colour)
    assert several.status()["ok"]
    assert worked(several)[-1] == ("begins", release)
    assert never_both(several)


def test_a_killed_worker_is_back_by_itself(several: Pipeline) -> None:
    pid = int(str(service(several, "web.mail.1")["pid"]))
    os.kill(pid, signal.SIGKILL)
    until(lambda: service(several, "web.mail.1").get("pid") not in (pid, 0), what="another worker")


def test_fewer_and_more_replicas_by_up(several: Pipeline) -> None:
    """The balancer restarts with another list of servers: what that costs is counted, not hidden."""
    for replicas in (1, 2):
        configure(several, replicas)
        load = Load(several.url, connections=4, mode="mixed", methods=("GET", "POST"), rate=100, seconds=60).start()
        several.ok("up")
        report = load.stop()
        assert len(processes(several)) == replicas
        assert several.status()["ok"]
        assert not report.lost, report.lost  # every visitor got an answer
        away = report.statuses.get("502", 0)
        assert away < 50, f"half a second without a balancer is too long: {dict(report.statuses)}"
        print(f"to {replicas} replicas: 502 for {away} of {report.sent}")
    release, _ = several.live()
    assert "live already" in several.ok("deploy", "--canary", f"--release={release}")["nothing"]
