"""What visitors see when a part of the stack is killed, and that everything is afterwards as it was before.

On an engine of its own in a network namespace of its own: nobody else's containers are near. Visitors come at 100 requests/s,
GET and POST in turn, on kept and on new connections; nothing is asked twice. docs/compose.md has what is measured here.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from engines import say
from faults import FAULTS
from prod import Prod, endured

from private_engine.engine import Engine

BOUND = {"engine killed": 20.0, "power cut": 20.0}  # s until nobody is turned away any more
SOON = 5.0  # s, after any other
UNTOUCHED = ("database killed", "database unplugged")  # the tiny application does not ask it
WRITES = ("cache killed", "cache unplugged")  # its POSTs need the cache, its pages do not


@pytest.fixture
def mixed(house: Prod) -> Iterator[dict[str, float]]:
    """A share that a canary would leave whose run died."""
    live = house.live()[1]
    idle = {"blue": "green", "green": "blue"}[live]
    with house.opened() as stack:
        stack.balancer.set_share({live: 75, idle: 25})
        yield house.share()
        stack.balancer.set_share({live: 100, idle: 0})


def faced(house: Prod, dark: Engine, share: dict[str, float], fault: str) -> None:
    """The fault, under visitors; the shares after it are those before it, by the balancer's word and by who answers."""
    rows = house.ok("psql", "--command=select count(*) from pg_tables")["rows"]
    house.ok("redis", "--command=set kept yes")
    seen = endured(house, lambda: FAULTS[fault](house, dark))
    say(f"{fault}, share {share}: {seen}")
    assert house.share() == share == house.status()["weights"]
    serving = [colour for colour, part in share.items() if part]
    assert len(seen.releases(seen.whole)) == len(serving), seen.releases(seen.whole)
    assert seen.repeated == []
    assert seen.seconds() < BOUND.get(fault, SOON)
    assert house.ok("psql", "--command=select count(*) from pg_tables")["rows"] == rows
    assert house.ok("redis", "--command=get kept")["answer"] == "yes"
    if fault in UNTOUCHED:
        assert seen.lost == seen.refused == []
    if fault in WRITES:
        assert seen.lost == [] and {r.method for r in seen.refused} == {"POST"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault(house: Prod, dark: Engine, fault: str) -> None:
    faced(house, dark, house.share(), fault)


@pytest.mark.parametrize("fault", ["balancer killed", "engine killed", "power cut"])
def test_a_fault_within_a_canary(house: Prod, dark: Engine, mixed: dict[str, float], fault: str) -> None:
    """Weights that live only in a running balancer would be lost here."""
    faced(house, dark, mixed, fault)


def test_after_all_of_it_a_deploy_loses_nobody(house: Prod) -> None:
    document = house.good()
    assert document["receipt"]["lost"] == document["receipt"]["duplicated"] == 0
