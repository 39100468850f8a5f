"""``adaf`` as a program: what it says of itself, and of command lines that are not right."""

from __future__ import annotations

from pathlib import Path

import pytest

from adaf_pipeline.tasks import namespace
from adaf_pipeline.tasks.program import AdafProgram


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        AdafProgram(name="adaf", binary="adaf", namespace=namespace(), version="0").run(["adaf", *words])
    return int(caught.value.code or 0)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("words", [(), ("--help",)])
def test_help_is_one_screen_of_tasks(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words) == 0
    said = capsys.readouterr().out
    assert len(said.splitlines()) <= 24 and "rollback" in said
    assert "--dry" not in said and "sudo" not in said


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (("--stack", "prod", "up"), "'--stack'", "flags come after their task: adaf TASK --stack. "),
        (("--json", "up"), "'--json'", "flags come after their task: adaf TASK --json. "),
        (("up", "--stack"), "--stack needs a value", "adaf --list"),
        (("up", "--stak=x"), "'--stak'", "did you mean --stack? "),
        (("--config=/nowhere", "up"), "/nowhere", "adaf --list"),
    ],
)
def test_a_wrong_command_line_is_told_in_two_lines(
    words: tuple[str, ...], error: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("error: ") and error in first and "<" not in first
    assert second.startswith(f"hint: {hint}")


def test_dry_does_not_deploy(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--dry", "deploy", "--canary") == 2
    assert "inv deploy --plan" in capsys.readouterr().err
