"""`releases`: which there are, and the story of one, over fakes."""

from __future__ import annotations

import jsonschema
import pytest
from deploy_world import World, change, deploy
from driving import SCHEMAS

from adaf_pipeline.engine import Engine
from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.requests import RollbackRequest
from adaf_pipeline.stack import Stack
from adaf_pipeline.tasks import listing
from adaf_pipeline.workflows import story
from adaf_pipeline.workflows.origin import commit
from adaf_pipeline.workflows.releases import Releases


def told(stack: Stack, release: str) -> list[str]:
    document = {"task": "releases", "stack": stack.name, **story.of_release(stack, release)}
    jsonschema.validate(document, SCHEMAS["releases"])
    lines = list(listing.lines(document))
    assert max(len(line) for line in lines if str(stack.checkout) not in line) < 80, lines  # a path is not broken
    return lines


@pytest.fixture
def three(stack: Stack, world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of: a good one, another one that replaced it, and one that failed in its canary."""
    monkeypatch.setenv("SUDO_USER", "ada")
    first = deploy(stack).document["release"]
    change(stack, "two\n")
    second = deploy(stack).document["release"]
    change(stack, "three\n")
    world.fails = lambda colour, number: colour == "blue" and number % 2 == 0
    failed = deploy(stack).document
    assert not failed["ok"]
    world.fails = lambda _colour, _number: False
    return [first, second, failed["tried"]]


def test_a_good_release(stack: Stack, three: list[str]) -> None:
    lines = told(stack, three[1])
    assert lines[0] == f"release {three[1]} of web: live, as green"
    assert "no commit known, by ada" in " ".join(line.strip() for line in lines)
    row = next(line for line in lines if line.startswith("  canary-20")).split()
    assert row[0:3] == ["canary-20", "20", "%"] and row[-1] == "pass" and int(row[3]) > 0 == int(row[4])
    assert any(" deploy by ada in " in line and line.endswith(f": live (before: {three[0]})") for line in lines)
    assert any(line.endswith(f"{three[2]} did not hold") for line in lines)
    assert lines[-1] == "next: inv rollback"


def test_one_that_failed_says_why_what_was_taken_back_and_what_to_do(stack: Stack, three: list[str]) -> None:
    lines = told(stack, three[2][:5])
    text = "\n".join(lines)
    assert lines[0] == f"release {three[2]} of web: not running"
    assert ": rolled back (before: " in text
    assert "  failed     canary-20: canary at 20 %: blue failed " in text
    assert "  taken back canary-20, start-blue" in text
    assert "  hint       inv logs --service web.blue.1; the previous release serves" in text
    assert text.count("against blue being no worse") <= 1
    assert lines[-1] == "next: inv deploy --canary | inv releases"  # mended, not this one again


def test_without_the_journal_the_history_is_left(stack: Stack, three: list[str]) -> None:
    for journal in (stack.state / "runs").glob("*.jsonl"):
        journal.unlink()
    text = "\n".join(told(stack, three[2]))
    assert "  failed     canary-20: " in text and "by ada" in text and "steps " not in text


def test_a_rollback_and_its_receipt_are_one_entry(stack: Stack, three: list[str]) -> None:
    change(stack, "four\n")
    fourth = deploy(stack).document["release"]
    assert Engine(stack).run(RollbackRequest()).document["ok"]
    document = story.of_release(stack, three[1])
    assert [e["task"] for e in document["story"] if e["release"] == three[1]] == ["deploy", "rollback"]
    assert document["story"][-1]["receipt"] is not None
    text = "\n".join(told(stack, fourth))
    assert " rollback by ada in " in text and f": {three[1]} went live instead" in text
    assert told(stack, fourth)[-1] == f"next: inv rollback --to {fourth}"


def test_the_list_is_narrow_and_newest_last(stack: Stack, three: list[str]) -> None:
    lines = list(listing.lines(story.releases(stack)))
    assert [line.split()[0] for line in lines] == ["release", *three, "next:"]
    assert lines[2].split()[1:3] == ["live", "green"] and " rolled back " in lines[3]
    assert max(map(len, lines)) < 80


def test_a_canary_is_neither_warm_nor_never_deployed(stack: Stack, three: list[str]) -> None:
    stack.balancer.set_share({"blue": 20.0, "green": 80.0})
    Releases(stack.state).hold("blue", {"release": three[2]})
    (row,) = [line for line in listing.lines(story.releases(stack)) if line.startswith(three[2])]
    assert row.split()[1:3] == ["canary", "blue"] and row.endswith("has visitors on trial: inv status")
    assert told(stack, three[2])[-1] == "next: inv status"


def test_an_unknown_id_names_what_is_near(stack: Stack, three: list[str]) -> None:
    wrong = three[1][:3] + ("0" if three[1][3] != "0" else "1")
    with pytest.raises(PreconditionError) as raised:
        story.of_release(stack, wrong)
    assert three[1] in raised.value.hint.split("? ")[0] and raised.value.hint.startswith("did you mean ")


def test_where_there_is_no_repository_there_is_no_commit(stack: Stack) -> None:
    assert commit(stack.checkout) == ""
