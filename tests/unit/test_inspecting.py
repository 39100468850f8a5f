"""`inv doctor --security`, `inv render` and the shells, over fakes."""

# ruff: noqa: F811  a fixture is named twice: where it comes from and where it is used

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adaf_pipeline.roles import Checked
from adaf_pipeline.testing.driving import Pipeline
from adaf_pipeline.testing.plugin import pipeline  # noqa: F401
from adaf_pipeline.testing.runtime import FakeRuntime
from adaf_pipeline.workflows import security


class Found:
    """A stack whose runtime says this."""

    def __init__(self, *found: Checked) -> None:
        self.runtime = self
        self.security = lambda: found


def held(rule: str, where: Any, ok: bool = True, **more: Any) -> Checked:
    return Checked(rule, f"title of {rule}", "web.blue.1", where, ok, **more)


def test_the_table_counts_and_what_is_broken_stands_below_it_with_its_way_out() -> None:
    document = security.security(
        Found(  # type: ignore[arg-type]
            held("H02", "plan"),
            held("H02", "live", ok=False, found="all of them", hint="drop them"),
            held("H01", "plan"),
            held("H01", "live", ok=False, found="root", hint="another", waived="for a week (until 2026-03-01)"),
        )
    )
    assert document["ok"] is False
    assert security.lines(document) == [
        "rule    plan    live",
        "H01     1/1     0/1  title of H01",
        "H02     1/1     0/1  title of H02",
        "NO  H02 web.blue.1 live: all of them   -> drop them",
        "waived  H01 web.blue.1 live: root: for a week (until 2026-03-01)",
        "1 broken, 1 waived; checks that passed: plan 2 of 2, live 0 of 2",
    ]


def test_what_is_waived_alone_is_fine_and_where_nothing_runs_it_says_so() -> None:
    document = security.security(Found(held("H01", "plan", ok=False, found="root", waived="why")))  # type: ignore[arg-type]
    assert document["ok"] is True
    assert (
        security.lines(document)[-1]
        == "no rule is broken, 1 waived; checks that passed: plan 0 of 1, live: nothing runs"
    )


def test_a_broken_rule_is_exit_1_and_a_document(pipeline: Pipeline) -> None:
    done = pipeline.run("doctor", "--security", "--json")
    document = json.loads(done.stdout)
    assert (done.code, document["ok"], document["task"]) == (1, False, "doctor")
    assert [each["rule"] for each in document["broken"]] == ["H02"]
    assert {"rule": "H01", "plan": {"passed": 1, "checked": 1}, "live": {"passed": 0, "checked": 0}}.items() <= (
        document["rules"][0].items()
    )


def test_a_runtime_without_rules_is_exit_6(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeRuntime, "security", lambda _self: ())
    done = pipeline.run("doctor", "--security")
    assert done.code == 6
    assert "has no rules of hardening" in done.stderr


# -------------------------------------------------------------------------------------------------------- render


def test_the_files_are_those_of_what_would_run_now(pipeline: Pipeline, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = pipeline.run("render", "--out", str(out))
    assert first.code == 0, first.stderr
    assert "no release yet" in first.stdout
    assert "web.blue.1" not in (out / "services").read_text()
    assert pipeline.run("deploy").code == 0
    second = json.loads(pipeline.run("render", "--out", str(out), "--json").stdout)
    assert "web.blue.1" in (out / "services").read_text()
    assert (second["files"], list(second["releases"])) == (["services"], ["blue"])
    assert pipeline.run("render").stdout == (out / "services").read_text()


def test_what_somebody_else_wrote_is_never_overwritten(pipeline: Pipeline, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "services").write_text("by hand")
    done = pipeline.run("render", "--out", str(out))
    assert done.code == 6
    assert "has files that were not rendered" in done.stderr
    assert (out / "services").read_text() == "by hand"
    (tmp_path / "file").touch()
    assert "is no folder" in pipeline.run("render", "--out", str(tmp_path / "file")).stderr
    assert "cannot be written" in pipeline.run("render", "--out", str(tmp_path / "file" / "below")).stderr


def test_what_is_no_longer_wanted_goes_and_nothing_outside(pipeline: Pipeline, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "mine").touch()
    (out / "old").touch()
    (out / ".adaf-rendered.json").write_text(json.dumps({"files": ["old", "../mine", str(tmp_path / "mine")]}))
    assert pipeline.run("render", "--out", str(out)).code == 0
    assert not (out / "old").exists()
    assert (tmp_path / "mine").exists()


def test_a_document_needs_a_folder(pipeline: Pipeline) -> None:
    done = pipeline.run("render", "--json")
    assert (done.code, json.loads(done.stdout)["error"]) == (2, "--json without --out: the file is no JSON")


# ---------------------------------------------------------------------------------------------------- maintenance


def test_maintenance_is_put_on_and_taken_off_and_asked_for(pipeline: Pipeline) -> None:
    assert pipeline.run("up").code == 0
    said = [
        pipeline.run("maintenance", *flag, "--json").document["maintenance"]
        for flag in ((), ("--on",), (), ("--off",), ())
    ]
    assert said == [False, True, True, False, False]
    assert "visitors get the site" in pipeline.run("maintenance").stdout
    both = pipeline.run("maintenance", "--on", "--off", "--json")
    assert (both.code, both.document["error"]) == (2, "--on and --off: one of them")


def test_who_brings_something_to_visitors_is_told_that_they_do_not_see_it(pipeline: Pipeline) -> None:
    line = "visitors get the maintenance page: inv maintenance --off"
    assert line not in pipeline.run("deploy").stdout
    pipeline.run("maintenance", "--on")
    assert line in pipeline.run("status").stdout and line in pipeline.run("up").stdout
    assert pipeline.run("up", "--json").document["maintenance"] is True
    pipeline.change("worse")
    pipeline.stack.runtime.broken["web.green.1"] = "it is worse"
    failed = pipeline.run("deploy", "--json")
    assert (failed.code != 0, failed.document["maintenance"]) == (True, True)
    pipeline.run("maintenance", "--off")
    assert "maintenance" not in pipeline.run("up", "--json").document


# --------------------------------------------------------------------------------------------------------- shells


def test_a_shell_of_psql_is_the_superusers_with_admin_alone(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[str, ...]] = []
    monkeypatch.setattr("adaf_pipeline.process.interactive", lambda argv, _env: opened.append(tuple(argv)) or 0)
    assert [pipeline.run("psql").code, pipeline.run("psql", "--admin").code] == [0, 0]
    assert [words[-1] for words in opened] == ["app", "admin"]
