"""A user without root, root and that user in one checkout, and two users side by side."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from people import Person, everything, processes, refused, throwaway

from adaf_pipeline.host.addresses import BLOCK, FIRST, LAST
from adaf_pipeline.host.places import ROOT_STATE, stack_id
from adaf_pipeline.process import Account

COMMANDS = ("deploy --canary", "status", "down --purge")


@pytest.fixture(scope="module")
def user() -> Iterator[Account]:
    with throwaway() as made:
        yield made


@pytest.fixture(scope="module")
def person(user: Account) -> Iterator[Person]:
    """The user's stack, with one release live and another one warm, in a checkout that root sees as well."""
    folder = user.home / "checkout"
    folder.mkdir()
    made = Person(folder, user)
    try:
        made.remember(made.ok("up")["url"])
        made.good()
        made.good()
        yield made
    finally:
        made.run("down", "--purge", "--json")


def same_checkout(person: Person, account: Account | None) -> Person:
    """Another user, in the same checkout."""
    other = object.__new__(Person)
    other.folder, other.account = person.folder, account
    return other


def ports(state: Path) -> set[int]:
    return set(json.loads((state / "ports.json").read_text()).values())


def test_a_user_without_root_has_the_whole_pipeline(person: Person, user: Account) -> None:
    _, release = person.get()
    document = person.ok("rollback")
    assert document["release"] != release
    assert person.get() == (200, document["release"])
    assert person.ok("psql", "--command=select 1 + 1 as two")["rows"] == [[2]]
    assert person.ok("redis", "--command=ping")["answer"] == "PONG"
    assert [person.run(shell).code for shell in ("psql", "redis")] == [0, 0]
    assert person.run("logs", "--service=web.blue.1").stdout
    assert person.ok("doctor")["ok"]
    assert person.state().parent == user.home / ".local" / "state" / "adaf"


def test_everything_of_the_user_runs_as_the_user(person: Person, user: Account) -> None:
    services = person.status()["services"]
    assert len(services) == 6
    assert {Path(f"/proc/{service['pid']}").stat().st_uid for service in services} == {user.uid}
    assert {owner for owner, *_ in everything(person.state()).values()} == {user.uid}


def test_root_is_refused_where_a_user_has_a_stack(person: Person, user: Account) -> None:
    root, state = same_checkout(person, None), person.state()
    owned = {path for path, (uid, *_) in everything(user.home).items() if uid == 0}
    before = {s["name"]: s["pid"] for s in person.status()["services"]}
    for words in COMMANDS:
        said = refused(root.run(*words.split()), 6)
        assert f"the stack of this checkout belongs to {user.name} ({state})" in said
        assert f"let {user.name} run `inv down --purge`" in said
    assert not (ROOT_STATE / state.name).exists()
    assert {path for path, (uid, *_) in everything(user.home).items() if uid == 0} == owned
    assert {s["name"]: s["pid"] for s in person.status()["services"]} == before


@pytest.fixture(scope="module")
def roots(person: Person, user: Account, place: Path) -> Iterator[Person]:
    """A stack of root's, by a strict root, in a checkout of the user, whose ports would begin where the user's do."""
    block, blocks = (min(ports(person.state())) - FIRST) // BLOCK, (LAST - FIRST) // BLOCK
    folder = next(
        folder
        for folder in (place / f"side{number}" for number in range(100_000))
        if int(hashlib.sha256(bytes(ROOT_STATE / stack_id("local", folder))).hexdigest(), 16) % blocks == block
    )
    folder.mkdir()
    theirs = Person(folder, user)
    theirs.run("status")  # looking claims nothing: root may still begin
    made = same_checkout(theirs, None)
    before = os.umask(0o077)
    try:
        done = made.run("up", "--json")
    finally:
        os.umask(before)
    try:
        assert done.code == 0, done.stderr
        made.remember(done.document["url"])
        yield made
    finally:
        made.run("down", "--purge", "--json")


def test_two_users_side_by_side_share_no_port(person: Person, roots: Person) -> None:
    """Each has a book of ports of its own."""
    assert roots.url != person.url
    theirs, mine = ({(port - FIRST) // BLOCK for port in ports(one.state())} for one in (roots, person))
    assert not theirs & mine, "a port that is free now may be the other one's when it starts again"
    assert roots.status()["ok"] and person.status()["ok"]


def test_a_user_is_refused_where_root_has_a_stack(roots: Person, user: Account) -> None:
    person, state = same_checkout(roots, user), ROOT_STATE / stack_id("local", roots.folder)
    mine = user.home / ".local" / "state" / "adaf" / state.name
    before = everything(roots.folder) | everything(mine)
    for words in COMMANDS:
        said = refused(person.run(*words.split()), 6)
        assert f"the stack of this checkout belongs to root ({state})" in said
        assert "let root run `inv down --purge`" in said
    assert everything(roots.folder) | everything(mine) == before
    assert roots.status()["ok"]
    roots.ok("down", "--purge")
    assert person.run("up", "--plan").code == 0


def test_purge_leaves_nothing_of_the_users(person: Person, user: Account) -> None:
    state = person.state()
    person.ok("down", "--purge")
    assert not state.exists()
    assert processes(user) == []
