"""How fast a bad release is gone, how fast a rollback is, and whether the balancer's log has every failure."""

from __future__ import annotations

import http.client
import threading
import time
from pathlib import Path
from statistics import median
from typing import Self

from driving import Pipeline
from figures import Figures

from adaf_pipeline import journal
from adaf_pipeline.stack import Stack
from adaf_pipeline.testing.load import Load
from adaf_pipeline.workflows.receipt import percentile

# 5, 25, 50 % for 20 s each, 50 probes/s; only what comes before the canary is shorter
DEFAULT = "\ndeploy: {warmup: 0, probe: {post: /api/probe, baseline: 1}}\n"
BOTH = ("GET", "POST")
BUDGET = 330.0  # s for the canaries: what has not begun by then is not measured


def shifted(state: Path, run: str) -> tuple[float, float, float, str]:
    """From a failed run's journal: when the canary began, when all visitors were back, when it was gone, the step."""
    events = list(journal.read(journal.directory(state) / f"{run}.jsonl"))
    began = next(e.at for e in events if e.kind == "begin" and e.step.startswith("canary-"))
    failed = next(e.step for e in events if e.kind == "failed")
    back = next(e for e in events if e.kind == "undone" and e.step == failed)
    assert sorted(back.data["output"]["share"].values()) == [0, 100]
    gone = next(e.at for e in events if e.kind == "undone" and e.step.startswith("start-"))
    return began, back.at, gone, failed


def test_detection(pipeline: Pipeline, figures: Figures) -> None:
    pipeline.configure(deploy=DEFAULT)
    state, deadline = pipeline.state(), time.monotonic() + BUDGET
    back: list[float] = []
    gone: list[float] = []
    steps: list[str] = []
    missed: list[str] = []
    load = Load(pipeline.url, mode="mixed", methods=BOTH, rate=50, seconds=590, visitor="request")
    try:
        with load.spawn() as running:
            while len(back) + len(missed) < 20 and time.monotonic() < deadline:
                done = pipeline.deploy(fail=0.2)
                if done.code != 4 or not done.document["error"].startswith("canary at"):
                    missed.append(done.document.get("error", f"exit code {done.code}"))
                    continue
                began, returned, ended, step = shifted(state, done.document["run"])
                back.append(returned - began)
                gone.append(ended - began)
                steps.append(step)
            report = running.stop()
    finally:
        pipeline.configure()
    seen = ", ".join(f"{steps.count(step)} in {step}" for step in sorted(set(steps)))
    how = f"20 % of a canary's answers fail, 50 visitors/s and 50 probes/s, share set to share back; {seen}"
    figures.say("detection_median", median(back), "s", how, back)
    figures.say("detection_95", percentile(back, 0.95), "s", f"the same runs; slowest {max(back):.1f}", len(back))
    figures.say("detection_stopped", median(gone), "s", "the same runs, until the bad colour has stopped as well", gone)
    each = len(report.failures) / len(back)
    figures.say("detection_cost", each, "failed requests", f"a run, of visitors; {len(report.lost)} lost", len(back))
    assert missed == []
    assert report.lost == [], report.lost[:3]


class Poll(threading.Thread):
    """Asks for the release once a millisecond; keeps the moments at which another one answered."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._address, self._ending = url.removeprefix("http://"), threading.Event()
        self.changes: list[tuple[float, float, str]] = []  # asked, answered, release

    def run(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=5)
        release = ""
        while not self._ending.wait(0.001):
            asked = time.monotonic()
            connection.request("GET", "/")
            with connection.getresponse() as answer:
                answer.read()
            if answer.headers["x-release-id"] != release:
                release = answer.headers["x-release-id"]
                self.changes.append((asked, time.monotonic(), release))
        connection.close()

    def since(self, moment: float, release: str) -> tuple[float, float]:
        """Seconds from a moment until ``release`` answered, and what that answer took."""
        deadline = time.monotonic() + 5
        while True:
            for asked, answered, found in self.changes:
                if answered > moment and found == release:
                    return answered - moment, answered - asked
            assert self.is_alive() and time.monotonic() < deadline, f"{release} never answered"
            time.sleep(0.01)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self.join()


def test_rollback(pipeline: Pipeline, stack: Stack, figures: Figures) -> None:
    """By the command, as a user would; then by the balancer alone, for the moment in which the share changes."""
    pipeline.good()
    flips: list[float] = []
    walls: list[float] = []
    moves: list[float] = []
    firsts: list[float] = []
    direct: list[float] = []
    probes: list[float] = []
    load = Load(pipeline.url, connections=8, mode="mixed", methods=BOTH, rate=200, seconds=150)
    with load.spawn() as running, Poll(pipeline.url) as poll:
        back: tuple[str, ...] = ()
        for _ in range(10):
            began = time.monotonic()
            document = pipeline.ok("rollback", *back)
            walls.append(time.monotonic() - began)
            back = () if back else (f"--to={document['replaced']}",)
            moved, first = poll.since(began, document["release"])
            moves.append(moved)
            firsts.append(first * 1e3)
            flips.append(document["flip_seconds"] * 1e3)
            if document["receipt"]["first_on_new"] is not None:
                probes.append(document["receipt"]["first_on_new"])
            assert document["receipt"]["lost"] == document["receipt"]["duplicated"] == 0
        releases = {document["replaced"], document["release"]}
        last, live = document["release"], next(colour for colour, part in stack.balancer.share().items() if part)
        other = {"blue": "green", "green": "blue"}[live]
        for turn in range(20):
            time.sleep(0.2)
            (last,) = releases - {last}
            began = time.monotonic()
            stack.balancer.set_share({other: 0, live: 100} if turn % 2 else {other: 100, live: 0})
            moved, first = poll.since(began, last)
            direct.append(moved * 1e3)
            firsts.append(first * 1e3)
        report = running.stop()
    under = "under 200 requests/s"
    figures.say(
        "rollback_flip", median(flips), "ms", f"flip_seconds of `rollback` {under}; slowest {max(flips):.0f}", flips
    )
    how = f"from the start of the command to the first answer by the other release, {under}"
    figures.say("rollback_moved", median(moves), "s", how, moves)
    figures.say(
        "rollback_command", median(walls), "s", "the whole command, 2 s of probes after the flip included", walls
    )
    how = f"from the decision (written to disk first) to its first answer, one client asking every ms; slowest {max(direct):.0f}"
    figures.say("flip_to_first_answer", median(direct), "ms", how, direct)
    how = f"duration of the first answer that a client got from the other colour, {under}; slowest {max(firsts):.1f}"
    figures.say("first_on_new_colour", median(firsts), "ms", how, firsts)
    figures.say("first_on_new_probe", median(probes), "ms", "the same by the receipts of `rollback`", probes)
    figures.say("rollback_lost", len(report.lost), "requests", f"of {report.sent:,} sent, 30 switches", report.sent)
    assert report.lost == [], report.lost[:3]
    assert report.repeated == []
    assert set(report.statuses) == {"200"}


def test_failures_seen(pipeline: Pipeline, stack: Stack, figures: Figures) -> None:
    """The application writes down which requests it failed; the balancer's log must have each of them."""
    told = pipeline.folder / "told"
    told.touch()
    told.chmod(0o666)
    live, app = pipeline.live()[1], stack.apps["web"]
    idle = {"blue": "green", "green": "blue"}[live]
    pipeline.change(fail=0.1, drop=0.1, tell=str(told))
    service = app.service(idle, 1, pipeline.ok("build")["release"])
    load = Load(pipeline.url, mode="mixed", methods=BOTH, seconds=20, visitor="request")
    stack.runtime.stop([service.id], lambda _said: None)
    stack.runtime.start((service,), lambda _said: None)
    try:
        with stack.balancer.log() as log:
            stack.balancer.set_share({live: 75, idle: 25})
            with load.spawn() as running:
                report = running.wait()
            stack.balancer.set_share({live: 100, idle: 0})
            time.sleep(1)
            lines = log.take()
            missing = log.missing
    finally:
        stack.balancer.set_share({live: 100, idle: 0})
        stack.runtime.stop([service.id], lambda _said: None)
        pipeline.change()
    failed = {line.request for line in lines if line.failed}
    sent = set(told.read_text().split())
    met = set(report.failures) | {loss.request for loss in report.lost}
    how = f"{report.sent:,} requests, 25 % to a colour that answers 500 or closes without a byte to 10 % each"
    figures.say(
        "failures_seen", len(sent & failed), "failures", f"of {len(sent):,} that the application made; {how}", len(sent)
    )
    how = f"of {len(met):,} that visitors met; {len(sent - met):,} more were saved by a retry, and are counted"
    figures.say("failures_met_seen", len(met & failed), "failures", how, len(met))
    how = f"lines of {len(lines):,} that say failed where the application did not fail; {missing} lines missing"
    figures.say("failures_invented", len(failed - sent), "failures", how, len(lines))
    assert sent - failed == set()
    assert met - failed == set()
    assert report.repeated == []
