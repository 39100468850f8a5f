"""How fast the canary's verdict finds a bad release, and how often it blames a good one.

python tests/bench/verdict_simulation.py --runs 300 --seed 1

The plan is the default one: 5, 25 and 50 % for 20 s each, then a bake of 20 s with all traffic; 50 requests/s by
visitors who come back and 50 probes/s, each with a visitor id of its own. Seconds are counted from the first step.
300 runs a line take two to three minutes.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from adaf_pipeline.roles import Served
from adaf_pipeline.workflows.verdict import Evidence, Limits

STEPS, SECONDS, BAKE = (0.05, 0.25, 0.50), 20, 20
END = len(STEPS) * SECONDS + BAKE


@dataclass(frozen=True)
class World:
    visitors: int = 500
    stable: float = 0.0  # share of requests that fail on stable
    extra: float = 0.0  # and that much more on the canary
    sticky: float = 0.0  # share of visitors who always fail, on either colour
    burst: float = 0.0  # share of requests that fail on either colour for 5 s, at a random time in the steps
    first: bool = False  # a first release: no stable colour
    rate: int = 50  # requests/s by visitors, and as many probes
    tick: float = 1.0  # seconds between two looks at the log


class Line:
    """The part of `Served` that the verdict reads; three times as fast to make."""

    __slots__ = ("at", "colour", "failed", "visitor")

    def __init__(self, at: float, visitor: str, colour: str, failed: bool) -> None:
        self.at, self.visitor, self.colour, self.failed = at, visitor, colour, failed


@dataclass(frozen=True)
class Run:
    failed: float | None  # when
    passes: tuple[bool, ...]  # what a look at the end of each step and of the bake said


def share_at(at: float) -> float:
    return STEPS[int(at // SECONDS)] if at < len(STEPS) * SECONDS else 1.0


def simulate(world: World, rng: random.Random) -> Run:
    evidence = Evidence("green", None if world.first else "blue", Limits())
    bucket = [rng.random() for _ in range(min(world.visitors, 20_000))]  # hash(id): below the share it is the canary's
    sticky = set(range(max(1, round(world.sticky * world.visitors)))) if world.sticky else set()
    begin = rng.uniform(0, len(STEPS) * SECONDS - 5) if world.burst else END
    passes: list[bool] = []
    count, ticks = round(world.rate * world.tick), round(SECONDS / world.tick)
    for number in range(round(END / world.tick)):
        now = number * world.tick
        if number % ticks == 0:
            evidence.step(now, alone=share_at(now) == 1)
        evidence.add(cast(Iterator[Served], traffic(world, rng, now, count, bucket, sticky, begin)))
        judgement = evidence.judge()
        if judgement.outcome == "fail":
            return Run(now + world.tick, tuple(passes))
        if number % ticks == ticks - 1:
            passes.append(judgement.outcome == "pass")
    return Run(None, tuple(passes))


def traffic(
    world: World, rng: random.Random, now: float, count: int, bucket: list[float], sticky: set[int], begin: float
) -> Iterator[Line]:
    share, shock = (1.0 if world.first else share_at(now)), (world.burst if begin <= now < begin + 5 else 0.0)
    both = world.stable + (1 - world.stable) * shock
    for number in range(2 * count):
        probe = number >= count
        who = -number - 1 if probe else rng.randrange(world.visitors)
        canary = (rng.random() if who < 0 or who >= len(bucket) else bucket[who]) < share
        failed = who in sticky or rng.random() < both + (world.extra * (1 - both) if canary else 0.0)
        visitor = f"probe {now} {number}" if probe else str(who)
        yield Line(now, visitor, "green" if canary else "blue", failed)


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def row(name: str, world: World, runs: int, rng: random.Random) -> str:
    results = [simulate(world, rng) for _ in range(runs)]
    found = [run.failed for run in results if run.failed is not None]
    times = f"{quantile(found, 0.5):6.1f} {quantile(found, 0.95):6.1f}" if found else "     -      -"
    wanted = [sum(run.passes[i] for run in results if len(run.passes) > i) / runs for i in range(len(STEPS) + 1)]
    return f"{name:<58}{times} {len(found) / runs:8.1%}   " + " ".join(f"{share:5.0%}" for share in wanted)


def bad_worlds() -> Iterator[tuple[str, World]]:
    for visitors in (20, 500, 1_000_000):
        for stable in (0.0, 0.01):
            for extra in (0.05, 0.20):
                name = f"{visitors:,} visitors, stable {stable:.0%}, canary {extra:.0%} more"
                yield name, World(visitors, stable, extra)
    yield "first release, 10 % fail", World(first=True, stable=0.10)
    yield "first release, 20 % fail", World(first=True, stable=0.20)


def good_worlds() -> Iterator[tuple[str, World]]:
    for visitors in (20, 500, 1_000_000):
        yield f"{visitors:,} visitors, both 1 %", World(visitors, 0.01)
    for visitors in (20, 500):
        yield f"{visitors:,} visitors, 1 % of them always fail", World(visitors, sticky=0.01)
        yield f"{visitors:,} visitors, both 1 %, and 80 % for 5 s", World(visitors, 0.01, burst=0.8)
    yield "500 visitors, stable 1 %, canary 1.25 x", World(500, 0.01, 0.0025)
    yield "1,000,000 visitors, both 10 %", World(1_000_000, 0.10)
    yield "first release, 2 % fail", World(first=True, stable=0.02)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=300, help="per line of the table")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    worlds: tuple[tuple[str, Callable[[], Iterator[tuple[str, World]]]], ...] = (
        ("bad: to be found", bad_worlds),
        ("good: not to be blamed", good_worlds),
    )
    began = time.monotonic()
    for title, cells in worlds:
        print(f"\n{title:<58}median  95 %s   failed   passes after 5, 25, 50 %, bake")
        for name, world in cells():
            print(row(name, world, arguments.runs, random.Random(f"{arguments.seed} {name}")), flush=True)
    print(f"\n{arguments.runs} runs a line, {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
