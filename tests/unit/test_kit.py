"""The public test kit: a pipeline over fakes that a plugin author drives, and what may be imported."""

# ruff: noqa: F811  a fixture is named twice: where it comes from and where it is used

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from _pytest.assertion.rewrite import AssertionRewritingHook

from adaf_pipeline import roles, testing
from adaf_pipeline.testing.balancer import FakeBalancer
from adaf_pipeline.testing.driving import Pipeline
from adaf_pipeline.testing.plugin import pipeline  # noqa: F401  as an author's conftest.py has it

ROOT = Path(__file__).parents[2]


def test_a_deploy_over_fakes_is_judged_by_its_visitors(pipeline: Pipeline) -> None:
    first = pipeline.run("deploy", "--canary", "--json")
    assert (first.code, first.document["ok"]) == (0, True), first.stderr
    pipeline.change("two")
    second = pipeline.ok("deploy", "--canary")
    assert [v["outcome"] for v in second["verdict"]] == ["pass", "pass", "pass"]
    assert second["release"] != first.document["release"]
    assert pipeline.ok("status")["release"] == second["release"]
    assert isinstance(pipeline.stack.balancer, FakeBalancer)
    assert [share["green"] for share in pipeline.stack.balancer.history] == [0, 20, 50, 100]


def test_a_release_that_fails_its_visitors_ends_with_4(pipeline: Pipeline) -> None:
    good = pipeline.ok("deploy", "--canary")["release"]
    pipeline.change("bad")
    pipeline.visitors.fails = lambda colour, _number: colour == "green"
    done = pipeline.run("deploy", "--canary")
    assert done.code == 4
    assert (done.document, done.stderr.count("error: canary at 20 %: green failed")) == ({}, 1)
    assert pipeline.ok("status")["release"] == good


def test_what_is_wrong_with_a_configuration_is_the_commands_to_say(pipeline: Pipeline) -> None:
    pipeline.configure(balancer="nobodys")
    done = pipeline.run("deploy")
    assert done.code == 3
    assert 'error: adaf.yaml: balancer: no plugin provides balancer "nobodys"' in done.stderr
    pipeline.configure(deploy={"windo": 1})
    assert pipeline.run("status").code == 2
    assert pipeline.run("deploy", "--wrong").code == 2


def test_the_environment_and_the_folder_are_the_callers_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    monkeypatch.delenv("ADAF_PLUGINS", raising=False)
    before = (Path.cwd(), dict(os.environ))
    pipeline.run("plugins", ADAF_STACK="other")
    assert (Path.cwd(), dict(os.environ)) == before


def test_the_fakes_come_by_the_ordinary_door_and_are_in_nobodys_listing(pipeline: Pipeline) -> None:
    rows = pipeline.ok("plugins")["backends"]
    assert {row["role"] for row in rows if row["name"] == "fake"} == {
        "runtime", "app", "balancer", "proxy", "database", "cache", "secrets",
    }  # fmt: skip
    assert {row["plugin"] for row in rows if row["name"] == "fake"} == {"file:fakes"}
    assert not re.search(r"^fakes? *=", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)


def test_every_role_has_a_contract_and_every_contract_test_says_what_it_holds() -> None:
    import typing

    names = typing.get_args(roles.RoleName)
    assert {f"{name.capitalize()}Contract" for name in names} <= set(testing.__all__)
    assert sorted(names) == sorted(testing.CONTRACTS)
    for name in names:
        contract = getattr(testing, f"{name.capitalize()}Contract")
        tests = [value for key, value in vars(contract).items() if key.startswith("test_")]
        assert tests, name
        assert [test.__name__ for test in tests if not test.__doc__] == []
        held = set(re.findall(r"`(\w+)`", " ".join(test.__doc__ or "" for test in tests)))
        role = vars(getattr(roles, name.capitalize()))
        promised = {key for key, value in role.items() if callable(value) and not key.startswith("_")}
        assert promised - held == set(), name


def test_every_contract_is_run_against_a_fake_and_a_real_one() -> None:
    for name in testing.CONTRACTS:
        body = (ROOT / "tests" / "contract" / f"test_{name}.py").read_text()
        classes = re.findall(rf"^class Test(\w+)\({name.capitalize()}Contract\)", body, re.MULTILINE)
        assert classes[0] == "Fake" and len(classes) > 1, name


def test_every_public_name_is_there_and_a_failing_contract_shows_its_values() -> None:
    for name in testing.__all__:
        assert getattr(testing, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = testing.Nothing
    for name in testing.CONTRACTS:
        module = importlib.import_module(f"adaf_pipeline.testing.{name}")
        assert isinstance(module.__loader__, AssertionRewritingHook), name


def test_pytest_is_wanted_by_the_kit_alone() -> None:
    for file in (*ROOT.glob("src/**/*.py"), *ROOT.glob("plugins/**/*.py")):
        if file.parent.name != "testing":
            assert not re.search(r"^\s*(from|import) _?pytest", file.read_text(), re.MULTILINE), file
