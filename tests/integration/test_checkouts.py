"""Checkouts beside each other, moved, made anew, read-only: whose stack is whose."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from people import Person, refused

from adaf_pipeline.host.places import stack_id


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    """A stack with one release live; purged wherever its checkout is then."""
    folder = tmp_path / "here"
    folder.mkdir()
    made = Person(folder, None)
    try:
        made.remember(made.good()["url"])
        yield made
    finally:
        made.run("down", "--purge", "--json")


def running(person: Person) -> dict[str, int]:
    return {service["name"]: service["pid"] for service in person.status()["services"]}


def beside(person: Person, name: str) -> Person:
    folder = person.folder.with_name(name)
    folder.mkdir()
    return Person(folder, None)


def moved(person: Person, name: str) -> None:
    person.folder = person.folder.rename(person.folder.with_name(name))


def test_two_checkouts_deploy_at_once_and_neither_touches_the_other(person: Person) -> None:
    other = beside(person, "there")
    try:
        before = running(person)
        for one in (person, other):
            one.change()
        children = [(one, one.start("deploy", "--canary", "--json")) for one in (person, other)]
        outcomes = [(one, one.finish(child)) for one, child in children]
        for one, done in outcomes:
            assert done.code == 0, done.stderr
            one.remember(done.document["url"])
        live = {one.url: one.get() for one in (person, other)}
        assert len({release for _, release in live.values()}) == len(live) == 2
        assert {name: running(person)[name] for name in before} == before
        assert other.deploy(fail=1.0).code == 4
        other.ok("down", "--purge")
        assert person.get() == live[person.url]
        assert person.status()["ok"]
    finally:
        other.run("down", "--purge", "--json")


def test_a_moved_checkout_keeps_its_stack(person: Person) -> None:
    before, state, live = running(person), person.state(), person.live()
    moved(person, "elsewhere with a space")
    assert person.live() == live
    person.ok("up")
    assert running(person) == before, "nothing was restarted"
    assert person.get()[1] == live[0]
    assert (state / "checkout").read_text() == f"{person.folder}\n"
    assert person.good()["release"] != live[0]
    person.ok("down", "--purge")
    assert not state.exists()
    assert not state.with_name(stack_id("local", person.folder)).exists()


def test_who_comes_after_a_moved_checkout_gets_no_stack_of_its(person: Person) -> None:
    moved(person, "elsewhere")
    person.ok("up")
    other = beside(person, "here")
    said = refused(other.run("status"), 6)
    assert f"belongs to the checkout that was moved from here to {person.folder}" in said
    assert person.status()["ok"]
    person.ok("down", "--purge")
    assert other.run("up", "--plan").code == 0
    shutil.rmtree(other.state())


def test_a_checkout_that_is_made_anew_at_its_path_is_the_same(person: Person) -> None:
    """As CI does. The folder that was there, if it is still somewhere, is another one from now on."""
    live, state = person.live(), person.state()
    old = person.folder.rename(person.folder.with_name("old"))
    shutil.copytree(old, person.folder)
    assert person.live() == live
    person.folder, new = old, person.folder
    looked = Path(person.run("down", "--plan", "--json").document["facts"]["state"])
    assert looked != state
    shutil.rmtree(looked)
    person.folder = new
    assert person.live() == live


def test_a_read_only_checkout_has_the_whole_pipeline(person: Person, tmp_path: Path) -> None:
    """The same folder at two places at once is no moved one, and state is in none of them."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    place = tmp_path / "read-only"
    place.mkdir()
    if subprocess.run(["mount", "--bind", person.folder, place], capture_output=True).returncode:
        pytest.skip("no mount can be made here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True)
        fixed = object.__new__(Person)
        fixed.folder, fixed.account = place, None
        before = sorted(place.rglob("*"))
        done = fixed.run("deploy", "--canary", "--json")
        assert done.code == 0, done.stderr
        fixed.remember(done.document["url"])
        assert fixed.url != person.url
        assert fixed.get() == (200, done.document["release"])
        assert fixed.status()["ok"]
        fixed.ok("up")
        assert sorted(place.rglob("*")) == before
        fixed.ok("down", "--purge")
        assert person.status()["ok"]
    finally:
        subprocess.run(["umount", place], check=True)
