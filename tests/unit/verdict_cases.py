"""Windows of requests for the tests of the verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from adaf_pipeline.roles import Served
from adaf_pipeline.workflows.verdict import PATIENCE, RATIOS, Evidence, Judgement, Limits

Outcome = tuple[str, str, bool]  # visitor, colour, failed


def line(visitor: str, colour: str = "green", failed: bool = False, at: float = 0.0) -> Served:
    return Served(at, visitor, colour, f"app.{colour}.1", "GET", 500 if failed else 200, 0, "r", 0.01, failed)


def window(green: tuple[int, int], blue: tuple[int, int] = (0, 0), at: float = 0.0) -> list[Served]:
    """One second with (failed, visitors) of each colour; every visitor is new."""
    return [
        line(f"{colour} {at} {number}", colour, number < failed, at)
        for colour, (failed, visitors) in (("green", green), ("blue", blue))
        for number in range(visitors)
    ]


def judged(windows: Iterable[Iterable[Served]], stable: str | None = "blue", limits: Limits | None = None) -> Judgement:
    evidence = Evidence("green", stable, limits or Limits())
    for served in windows:
        evidence.add(served)
    return evidence.judge()


def even(k: float, m: float, n: int, others: int, seconds: int) -> Iterator[list[Served]]:
    """Windows with k of n green and m of others blue failures on average, spread evenly."""
    for second in range(seconds):
        green, blue = (math.floor(x * (second + 1)) - math.floor(x * second) for x in (k, m))
        yield window((green, n), (blue, others), second)


def expected(windows: Iterable[tuple[float, int, int]]) -> float:
    """The evidence of (null's probability q, heads, tails) window by window, with plain numbers."""
    parts = [1 / len(RATIOS)] * len(RATIOS)
    for number, (q, heads, tails) in enumerate(windows, 1):
        for i, r in enumerate(RATIOS):
            other = q * r / (q * r + 1 - q)
            parts[i] *= (other / q) ** heads * ((1 - other) / (1 - q)) ** tails
        share, total = 1 / (PATIENCE + number), sum(parts)
        parts = [(1 - share) * part + share * total / len(RATIOS) for part in parts]
    return sum(parts)


def tolerated(n: int, others: int) -> float:
    w = n / (n + others)
    return w * 1.25 / (w * 1.25 + 1 - w)
