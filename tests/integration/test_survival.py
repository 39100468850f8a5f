"""What is left when the power goes: everything is killed at once, and `inv up` brings back what was live."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from driving import Pipeline, until


@pytest.fixture(scope="module")
def house(place: Path) -> Iterator[Pipeline]:
    """One release live, another one warm."""
    folder = place / "house"
    folder.mkdir()
    made = Pipeline(folder)
    try:
        made.remember(made.good()["url"])
        made.good()
        yield made
    finally:
        done = made.run("down", "--purge", "--json")
        assert done.code == 0, done.stderr


def descendants(root: int) -> set[int]:
    """A process and all that come from it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def power_cut(pipeline: Pipeline) -> None:
    """Every process of the stack at once, and the runtime's files that would not survive a boot's end."""
    scanner = int((pipeline.state() / "s6.pid").read_text().split()[0])
    victims = descendants(scanner)
    for pid in victims:
        os.kill(pid, signal.SIGSTOP)  # nobody sees another one die, and acts on it
    for pid in victims | descendants(scanner):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() and alive(pid) for pid in victims), what="the dark")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_up_after_a_power_cut_brings_back_what_was_live(house: Pipeline) -> None:
    release, colour = house.live()
    weights = house.status()["weights"]
    rows = house.ok("psql", "--command=select count(*) from pg_tables")["rows"]
    house.ok("redis", "--command=set kept yes")
    power_cut(house)
    seen = house.status()
    assert not seen["ok"] and seen["release"] == release, "what is written down is still told"
    assert house.run("deploy", "--plan", "--json").code == 0
    document = house.ok("up")
    assert (document["release"], document["weights"]) == (release, weights)
    assert house.live() == (release, colour)
    assert house.get() == (200, release)
    assert house.ok("psql", "--command=select count(*) from pg_tables")["rows"] == rows
    assert house.ok("redis", "--command=get kept")["answer"] == "yes"
    assert house.status()["ok"]
    house.ok("rollback")
    house.good()


def test_a_power_cut_within_a_canary_leaves_the_live_release_to_come_back_to(house: Pipeline) -> None:
    release, colour = house.live()
    house.change()
    child = house.start("deploy", "--canary", "--json")
    house.reach(child, "canary-25")
    until(lambda: 0 < house.status()["weights"][colour] < 100, what="the share")
    child.kill()
    child.communicate()
    power_cut(house)
    seen = house.status()
    assert not seen["ok"] and seen["release"] == release
    house.ok("up")
    house.ok("rollback")
    assert house.live() == (release, colour)
    assert house.status()["weights"][colour] == 100
    assert house.get() == (200, release)
    assert house.status()["ok"]
    house.good()


def test_what_a_former_boot_wrote_down_fools_nobody(house: Pipeline) -> None:
    """After a boot, the same pids belong to somebody else."""
    release, _ = house.live()
    state = house.state()
    power_cut(house)
    for record in [state / "s6.pid", *(state / "pids").iterdir()]:
        _pid, rest = record.read_text().split(maxsplit=1)
        record.write_text(f"{os.getpid()} {rest}")
    house.ok("up")
    assert house.get() == (200, release)
    assert house.status()["ok"]
