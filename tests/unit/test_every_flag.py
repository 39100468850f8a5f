"""Every flag of every task, by introspection: so a new flag is tried as soon as it exists. Through the real program."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deploy_world import FAST
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tried import CASES

from adaf_pipeline.tasks import namespace
from adaf_pipeline.tasks.program import AdafProgram
from adaf_pipeline.testing import fakes
from adaf_pipeline.testing.stack import FAKE

NEEDS = {"psql": {"command": "select 1"}, "redis": {"command": "ping"}, "logs": {"service": "proxy.1"}}
TASKS = namespace().tasks
FLAGS = [(name, argument.name) for name, task in TASKS.items() for argument in task.get_arguments()]
TEXTS = [(n, a.name) for n, task in TASKS.items() for a in task.get_arguments() if a.takes_value]
SWITCHES = [(n, a.name) for n, task in TASKS.items() for a in task.get_arguments() if not a.takes_value]
ODD = ["nope", "-1", "0", "1e400", "nan", "∞", "日本", "a" * 5000, "../../etc", "x\ny", "\x1b[31m", "%s{}$(id)", "'"]
ODD += ['"', "[1", "null", "--json", "\udcff", " ", "=", "5,,25", "٥", "5_0", "9" * 30, "1.5"]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """``run("deploy", "--plan")`` in a checkout of fakes: exit code, stdout, stderr. A traceback is an exception here."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.txt").write_text("one\n")
    (tmp_path / "adaf.yaml").write_text(FAKE + FAST)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("ADAF_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ADAF_PLUGINS", str(fakes.__file__))

    def run(*words: str) -> tuple[int, str, str]:
        CASES["command lines"] += 1
        code = 0
        try:
            AdafProgram(name="adaf", binary="adaf", namespace=namespace(), version="0").run(["adaf", *words])
        except SystemExit as exc:
            code = int(exc.code or 0)
        return (code, *capfd.readouterr())

    return run


def line(task: str, flag: str, *words: str) -> list[str]:
    """A command line of ``task`` that would be right without ``words``; it plans where it can."""
    needs = [f"--{name}={value}" for name, value in NEEDS.get(task, {}).items() if name != flag]
    plan = ["--plan"] if (task, "plan") in FLAGS and flag != "plan" else []
    return [task, *needs, *plan, *words]


def holds(said: tuple[int, str, str], *codes: int) -> str:
    """It ended with one of ``codes``, and when that is a refusal, in two lines. Returns the error's."""
    code, _out, err = said
    assert code in codes, said
    if code not in (2, 3, 5, 6):
        return ""
    *_, error, hint = err.rstrip("\n").split("\n")
    assert error.startswith("error: "), err
    assert hint.startswith("hint: ") and len(hint) > 10, err
    return error


def test_every_task_takes_a_stack_and_prints_json() -> None:
    for name in TASKS:
        assert (name, "stack") in FLAGS and (name, "json") in FLAGS


@pytest.mark.parametrize(("task", "flag"), TEXTS)
def test_any_odd_value(run: Run, task: str, flag: str) -> None:
    for value in ODD:
        codes = (2,) if flag == "stack" or not value.strip() or value == "\udcff" else (0, 1, 2, 6)
        error = holds(run(*line(task, flag, f"--{flag}={value}")), *codes)
        assert len(error) < 2100
        assert error.isprintable()


@pytest.mark.parametrize(("task", "flag"), TEXTS)
def test_an_empty_value_and_none_at_all(run: Run, task: str, flag: str) -> None:
    assert holds(run(*line(task, flag, f"--{flag}=")), 2) == f"error: --{flag}: empty"
    if flag != "canary":  # whose value is optional
        assert flag in holds(run(*line(task, flag, f"--{flag}")), 2)


@pytest.mark.parametrize(("task", "flag"), SWITCHES)
def test_a_switch_takes_no_value(run: Run, task: str, flag: str) -> None:
    holds(run(*line(task, flag, f"--{flag}=nope")), 2)
    holds(run(*line(task, flag, f"--no-{flag}")), 2)


@pytest.mark.parametrize("task", TASKS)
def test_an_unknown_flag(run: Run, task: str) -> None:
    for wrong in ("--nope", "--nope=1", "-x", "nope", "--stac=prod"):
        holds(run(*line(task, "", wrong)), 2)


@pytest.mark.parametrize("task", TASKS)
def test_a_refusal_is_a_document_too(run: Run, task: str) -> None:
    code, out, _err = run(*line(task, "json", "--json", "--stack=nope"))
    document = json.loads(out)
    assert (code, document["exit"], document["ok"], document["task"]) == (2, 2, False, task)
    assert document["error"] == "--stack: nope: no overlay adaf.nope.yaml"
    assert document["hint"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["deploy", "--canary=0"], 2, "--canary=0: "),
        (["deploy", "--canary=100"], 2, "--canary=100: "),
        (["deploy", "--canary=101"], 2, "--canary=101: "),
        (["deploy", "--canary=-5"], 2, "--canary=-5: "),
        (["deploy", "--canary=50,25"], 2, "--canary=50,25: "),
        (["deploy", "--canary=25,25"], 2, "--canary=25,25: "),
        (["deploy", "--canary=abc"], 2, "--canary=abc: "),
        (["deploy", "--canary=nan"], 2, "--canary=nan: "),
        (["deploy", "--canary=5_0"], 2, "--canary=5_0: "),
        (["deploy", "--canary=5,"], 2, "--canary=5,: "),
        (["deploy", "--canary=" + ",".join(str(n) for n in range(1, 99))], 2, "--canary=1,2"),
        (["deploy", "--hold", "--canary=0"], 2, "--canary=0: "),
        (["deploy", "--release=nope"], 6, "no release nope"),
        (["deploy", "--release=nope", "--force"], 6, "no release nope"),
        (["rollback", "--to=nope"], 6, "nothing is live"),
        (["rollback"], 6, ""),
        (["promote"], 6, "no deploy is running"),
        (["releases", "--show=nope"], 6, "no release nope"),
        (["logs"], 6, "which service?"),
        (["logs", "--service=nope"], 6, "nope"),
        (["logs", "--service=../../etc/passwd"], 6, "../../etc/passwd"),
        (["logs", "--service=proxy.1", "--lines=-1"], 2, "--lines=-1: "),
        (["logs", "--service=proxy.1", "--lines=x"], 2, "--lines=x: "),
        (["logs", "--service=proxy.1", "--lines=1.5"], 2, "--lines=1.5: "),
        (["logs", "--service=proxy.1", "--lines=" + "9" * 30], 2, "--lines=999"),
        (["logs", "--service=proxy.1", "--follow", "--json"], 2, "--follow with --json"),
        (["down", "--yes=other"], 2, "--yes=other"),
        (["down", "--purge", "--yes=other"], 2, "--yes=other"),
        (["down", "--stack=prod"], 6, "this stops prod"),
        (["down", "--stack=prod", "--yes=local"], 2, "--yes=local"),
        (["psql", "--json"], 2, "--json without --command"),
        (["psql", "--admin", "--json"], 2, "--json without --command"),
        (["redis", "--json"], 2, "--json without --command"),
        (["redis", "--command='"], 2, "--command: "),
        (["redis", "--command= "], 2, "--command: empty"),
        (["psql", "--command=\n"], 2, "--command: empty"),
        (["psql", "--command=\udcff"], 2, "--command: not UTF-8"),
        (["nope"], 2, "nope"),
    ],
    ids=lambda words: " ".join(words)[:60] if isinstance(words, list) else None,
)
def test_what_is_wrong_is_refused_and_changes_nothing(
    run: Run, tmp_path: Path, words: list[str], code: int, says: str
) -> None:
    (tmp_path / "adaf.prod.yaml").write_text("deploy: {bake: 0}\n")
    run("status")  # makes the state's folder
    before = list(content(tmp_path))
    if "--json" in words:
        got, out, _err = run(*words)
        document = json.loads(out)
        assert (got, document["exit"]) == (code, code)
        assert says in document["error"]
    else:
        assert says in holds(run(*words), code)
    assert list(content(tmp_path)) == before


def content(folder: Path) -> Iterator[tuple[str, str]]:
    """Every file but the record of the runs themselves, and the reserve for it."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).as_posix()
        if (
            path.is_file()
            and not inside.startswith((".adaf/state/runs", ".adaf/state/lock", ".adaf/state/reserve"))
            and "__pycache__" not in inside
        ):
            yield inside, hashlib.sha256(path.read_bytes()).hexdigest()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(TEXTS), st.text(st.characters(blacklist_characters="\0"), min_size=1, max_size=20))
def test_any_text_for_any_flag(run: Run, where: tuple[str, str], value: str) -> None:
    task, flag = where
    holds(run(*line(task, flag, f"--{flag}={value}")), 0, 1, 2, 6)
