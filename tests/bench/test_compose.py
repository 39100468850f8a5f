"""The stack on Docker Compose: how fast it is there, what it needs, and what each fault cost its visitors."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import engines
import pytest
from faults import FAULTS
from figures import Figures
from prod import BASE, Prod, by_hand, endured, visited

from private_engine.engine import Engine

SWITCHES = 20


def seconds(do: Callable[[], object]) -> float:
    began = time.monotonic()
    do()
    return time.monotonic() - began


def test_from_nothing(figures: Figures, tmp_path: Path, place: Path) -> None:
    """Packages, engine, base, images, release, healthy: each as on a machine that has none of it."""
    engine, rows = Engine(tmp_path / "engine"), dict[str, float]()
    folder = place / "nothing"
    folder.mkdir()
    try:
        try:
            rows["engine"] = seconds(lambda: engines.own(engine.place, apart=False, anew=True))
        except AssertionError as refused:
            pytest.skip(f"an engine from nothing: {str(refused).splitlines()[-2]}")
        with engines.reached(engine):
            rows["base"] = seconds(lambda: engines.base(BASE))
            stack = Prod(folder)
            try:
                rows["images"] = seconds(stack.images)
                rows["up"] = seconds(lambda: stack.ok("up"))
                rows["first release"] = seconds(stack.good)
                stack.whole()
            finally:
                stack.purge()
    finally:
        engine.stop()
    figures.say("compose_cold", sum(rows.values()), "s", ", ".join(f"{name} {took:.0f}" for name, took in rows.items()))


def test_up_against_compose(prod: Prod, figures: Figures) -> None:
    """`inv up`, with all that it checks, against `docker compose up --wait` of the file that it applies."""
    folder = Path("/var/lib/adaf") / prod.name
    ours, plain = list[float](), list[float]()
    for _ in range(5):
        by_hand(folder, "down")
        ours.append(seconds(lambda: prod.ok("up")))
        by_hand(folder, "down")
        plain.append(seconds(lambda: by_hand(folder, "up", "-d", "--wait")))
    again = [seconds(lambda: prod.ok("up")) for _ in range(5)]
    figures.say("compose_up", median(ours), "s", "`inv up` of six services, images built, all containers gone", ours)
    figures.say("compose_plain", median(plain), "s", "`docker compose up -d --wait` of the same file", plain)
    ratios = [a / b for a, b in zip(ours, plain, strict=True)]
    figures.say("compose_ratio", median(ours) / median(plain), "x", "the one against the other, alternated", ratios)
    figures.say("compose_up_again", median(again), "s", "`inv up` when everything runs as described", again)


def test_memory(prod: Prod, figures: Figures) -> None:
    document = prod.status()
    each = ", ".join(f"{s['name']} {s['memory_mb']:.0f}" for s in document["services"])
    figures.say("compose_memory", document["memory_mb"], "MB", f"`status`, two colours of the tiny application: {each}")


def test_switches(prod: Prod, figures: Figures) -> None:
    with visited(prod) as end:
        for turn in range(SWITCHES):
            document = prod.ok("rollback") if turn % 4 == 3 else prod.good()
            assert document["receipt"]["lost"] == document["receipt"]["duplicated"] == 0
        seen = end()
    how = f"of {len(seen.results):,} at 100/s in {SWITCHES} switches: 15 deploys with a canary, 5 rollbacks; {seen}"
    figures.say("compose_switches_lost", len(seen.lost), "requests", how, len(seen.results))
    assert seen.lost == seen.refused == seen.repeated == [], str(seen)


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(house: Prod, dark: Engine, figures: Figures, fault: str) -> None:
    """Three times each: what visitors at 100 requests/s lost, and for how long."""
    share = house.share()
    every = [endured(house, lambda: FAULTS[fault](house, dark)) for _ in range(3)]
    lost = [float(len(seen.lost) + len(seen.refused)) for seen in every]
    name = fault.replace(" ", "_")
    figures.say(f"fault_{name}_lost", median(lost), "requests", f"lost or refused; {every[-1]}", lost)
    figures.say(f"fault_{name}_seconds", median(s := [e.seconds() for e in every]), "s", "first to last of them", s)
    assert house.share() == share and not [r for seen in every for r in seen.repeated]
