"""Switches while visitors are served, and what the way through edge and balancer costs."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from statistics import median

from driving import Pipeline
from figures import Figures

from adaf_pipeline.service import Ref
from adaf_pipeline.stack import Stack
from adaf_pipeline.testing.load import Load, Report

BY_COMMAND, BY_BALANCER = 20, 200
REQUESTS = 300_000
PACE = 0.35  # s between two switches by the balancer
SLOWEST = 115.0  # s for the requests: a slow machine sends fewer, and says so


def test_switches(pipeline: Pipeline, stack: Stack, figures: Figures) -> None:
    """A client that never retries, GET and POST, on kept and new connections; the ledger has every POST once."""
    pipeline.good()
    for number, switch in ((BY_COMMAND, by_command), (BY_BALANCER, by_balancer)):
        pipeline.ledger.write_text("")
        load = Load(pipeline.url, connections=12, mode="mixed", methods=("GET", "POST"), seconds=400, timeout=10)
        with load.spawn() as running:
            began = time.monotonic()
            switch(pipeline, stack)
            if number == BY_BALANCER:
                posts = REQUESTS // 2 * 33  # bytes
                while pipeline.ledger.stat().st_size < posts and time.monotonic() - began < SLOWEST:
                    time.sleep(0.2)
            report = running.stop()
        ledger = Counter(pipeline.ledger.read_text().split())
        doubled = [key for key, count in ledger.items() if count > 1]
        unkept = report.confirmed - set(ledger)
        what = f"of {report.sent:,} requests ({report.reused:,} on kept connections) at {report.rate:,.0f}/s in {number} switches"
        how = f"{what} by {switch.__doc__}; {len(report.releases)} releases, p99 {report.latency['p99']:.0f} ms"
        figures.say(f"switches_{number}_lost", len(report.lost), "requests", how, report.sent)
        how = f"{what}; {len(report.posts):,} POSTs, {len(unkept)} confirmed but not done"
        figures.say(f"switches_{number}_doubled", len(doubled), "requests", how, len(report.posts))
        assert report.lost == [], report.lost[:3]
        assert set(report.statuses) == {"200"}
        assert doubled == report.repeated == []
        assert unkept == set()


def by_command(pipeline: Pipeline, _stack: Stack) -> None:
    """`rollback`"""
    back: tuple[str, ...] = ()
    for _ in range(BY_COMMAND):
        document = pipeline.ok("rollback", *back)
        back = () if back else (f"--to={document['replaced']}",)
        assert document["receipt"]["lost"] == document["receipt"]["duplicated"] == 0


def by_balancer(_pipeline: Pipeline, stack: Stack) -> None:
    """the balancer alone"""
    live = next(colour for colour, part in stack.balancer.share().items() if part)
    other = {"blue": "green", "green": "blue"}[live]
    for turn in range(BY_BALANCER):
        time.sleep(PACE)
        stack.balancer.set_share({other: 0, live: 100} if turn % 2 else {other: 100, live: 0})


def used(pids: list[int]) -> float:
    """CPU seconds of these processes and their children so far."""
    total = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended
        if int(file.parent.name) in pids or int(fields[1]) in pids:
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def test_throughput(pipeline: Pipeline, stack: Stack, figures: Figures) -> None:
    pids = {s["name"]: s["pid"] for s in pipeline.status()["services"]}
    app = f"web.{pipeline.live()[1]}.1"
    ways = {
        "edge": (pipeline.url, [pids["proxy.1"], pids["balancer.1"]]),
        "app": (f"http://{stack.runtime.resolve(Ref('instance', app, 'http'))}", [pids[app]]),
    }
    rates: dict[str, list[float]] = {way: [] for way in ways}
    clients: dict[str, list[float]] = {way: [] for way in ways}
    costs: list[float] = []
    tails: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(3):
        for way, (url, processes) in ways.items():
            before = used(processes)
            reports = twice(Load(url, connections=8, seconds=4))
            sent = sum(report.sent for report in reports)
            if way == "edge":
                costs.append((used(processes) - before) / sent * 1e6)
            rates[way].append(sum(report.rate for report in reports))
            clients[way].append(sum(report.cpu / report.seconds for report in reports) * 100)
            tails[way].append(max(report.latency["p99"] for report in reports))
            assert not any(report.lost for report in reports)
    for way, name in (("edge", "through edge and balancer"), ("app", "the tiny Python application alone")):
        how = f"{name}, GET, 16 kept connections, closed loop; the two Python clients took {median(clients[way]):.0f} % CPU"
        how += f" of {os.cpu_count()}00, p99 {median(tails[way]):.0f} ms"
        figures.say(f"throughput_{way}", median(rates[way]), "requests/s", how, rates[way])
    ratios = [edge / alone for edge, alone in zip(rates["edge"], rates["app"], strict=True)]
    how = "edge against application, alternated; clients, servers and application share the cores"
    figures.say("throughput_ratio", median(rates["edge"]) / median(rates["app"]), "x", how, ratios)
    figures.say("edge_cpu", median(costs), "µs/request", "CPU time of nginx and haproxy", costs)


def twice(load: Load) -> list[Report]:
    """Two client processes at once."""
    with load.spawn() as one, load.spawn() as other:
        return [one.wait(), other.wait()]
