"""ci/engine: which archives it asks, and that it takes away what an engine added and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from private_engine import debs, traces
from private_engine.engine import Engine

TARGETS = """\
Packages|http://mirror/debian/|bookworm|main
Translations|http://mirror/debian/|bookworm|main
Packages|http://mirror/debian/|bookworm-updates|main
Packages|http://other/security/|bookworm-security|main
Packages|http://elsewhere/node/|nodistro|main
"""
BEFORE = [
    "filter -P FORWARD ACCEPT",
    "filter -P INPUT DROP",
    "filter -A FORWARD -s 10.1.1.0/24 -j ACCEPT",
    "nat -A POSTROUTING -s 10.9.0.0/16 -j MASQUERADE",
]
AFTER = [
    "filter -P FORWARD DROP",
    "filter -P INPUT DROP",
    "filter -N DOCKER",
    "filter -N DOCKER-USER",
    "filter -A FORWARD -j DOCKER-USER",
    "filter -A FORWARD -o br-3ecfd7c7d0c4 -j DOCKER",
    "filter -A FORWARD -i br-lan -j ACCEPT",
    "filter -A FORWARD -s 10.1.1.0/24 -j ACCEPT",
    "filter -A DOCKER -d 172.30.1.2/32 -p tcp --dport 80 -j ACCEPT",
    "nat -A POSTROUTING -s 10.9.0.0/16 -j MASQUERADE",
    "nat -A POSTROUTING -s 192.168.122.0/24 -j MASQUERADE",
    "nat -A POSTROUTING -s 172.30.1.2/32 -d 172.30.1.2/32 -p tcp --dport 80 -j MASQUERADE",
    'filter -A FORWARD -i docker0 -m comment --comment "two words" -j ACCEPT',
]


def test_the_engine_comes_from_where_the_machine_gets_its_packages() -> None:
    lines = debs.sources(TARGETS, "bookworm", "trixie")
    key = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    assert lines == [
        f"{key} http://mirror/debian/ trixie main\n",
        f"{key} http://mirror/debian/ trixie-updates main\n",
        f"{key} http://other/security/ trixie-security main\n",
    ]
    assert debs.sources("", "bookworm", "trixie") == []
    assert debs.codename('NAME="Debian"\nVERSION_CODENAME=bookworm\n') == "bookworm"


def test_only_what_an_engine_added_is_taken_away() -> None:
    """Rules go before the chains that they name; a rule of somebody else's that is new as well stays."""
    assert [" ".join(argv) for argv in traces.undone(BEFORE, AFTER)] == [
        "-t filter -D FORWARD -j DOCKER-USER",
        "-t filter -D FORWARD -o br-3ecfd7c7d0c4 -j DOCKER",
        "-t nat -D POSTROUTING -s 172.30.1.2/32 -d 172.30.1.2/32 -p tcp --dport 80 -j MASQUERADE",
        "-t filter -D FORWARD -i docker0 -m comment --comment two words -j ACCEPT",
        "-t filter -F DOCKER",
        "-t filter -F DOCKER-USER",
        "-t filter -X DOCKER",
        "-t filter -X DOCKER-USER",
        "-t filter -P FORWARD ACCEPT",
    ]
    assert traces.undone([], ["filter -P INPUT ACCEPT", "filter -P FORWARD DROP"]) == [
        ["-t", "filter", "-P", "FORWARD", "ACCEPT"]
    ]
    assert traces.undone(AFTER, AFTER) == traces.undone(BEFORE, BEFORE) == []


@pytest.mark.parametrize(
    ("name", "ours"), [("docker0", True), ("br-3ecfd7c7d0c4", True), ("veth334a9fe", True), ("br-lan", False)]
)
def test_links(name: str, ours: bool) -> None:
    assert bool(traces.LINK.fullmatch(name)) is ours


def test_every_pool_is_known_to_the_rules() -> None:
    for pool in traces.POOLS:
        assert traces.OURS.search(f"-s {pool} -j MASQUERADE"), pool


def test_two_directories_are_two_engines(tmp_path: Path) -> None:
    one, two = Engine(tmp_path / "one"), Engine(tmp_path / "two")
    assert one.group != two.group and one.shell["DOCKER_HOST"] == f"unix://{tmp_path}/one/run/docker.sock"
    assert one.left() == []


def test_an_engine_that_is_unpacked_meanwhile_finds_its_firewalls_libraries(tmp_path: Path) -> None:
    """Without them iptables-save says nothing, as if there were no rules, and all would be left."""
    engine = Engine(tmp_path)
    assert "XTABLES_LIBDIR" not in engine.env
    (tmp_path / "root/usr/sbin").mkdir(parents=True)
    (tmp_path / "root/usr/sbin/xtables-nft-multi").touch()
    assert engine.env["XTABLES_LIBDIR"].startswith(str(tmp_path / "root/usr/lib"))
