"""The README as a new user reads it: a fresh clone, its first command, the dashboard, a change, and a bad change."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = "examples/dashboard/app/page.tsx"


@dataclass
class Clone:
    """A clone of what is committed, below a folder that only its owner may enter."""

    folder: Path

    def run(self, *words: str, seconds: float = 900) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "ADAF_CONFIG"}}
        done = subprocess.run(
            words, cwd=self.folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds
        )
        print(f"$ {' '.join(words)}\n{done.stdout}{done.stderr}", file=sys.stderr)
        return done

    def inv(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("./ci/env", "inv", *words)

    def status(self) -> dict[str, object]:
        document: dict[str, object] = json.loads(self.inv("status", "--json").stdout)
        return document

    def hurry(self) -> None:
        """The same deploy, watched for seconds instead of minutes."""
        file = self.folder / "adaf.yaml"
        text = file.read_text()
        for key, value in (("window", 4), ("bake", 4), ("steps", "[25]"), ("rate", 60), ("max_windows", 8)):
            text, count = re.subn(rf"^( +{key}:) [^#\n]*", rf"\1 {value} ", text, flags=re.MULTILINE)
            assert count == 1, key
        file.write_text(text)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    folder = tmp_path_factory.mktemp("private") / "adaf pipeline"
    folder.parent.chmod(0o700)
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(folder)], check=True)
    made = Clone(folder)
    try:
        yield made
    finally:
        made.inv("down", "--purge")


def fetch(url: str) -> tuple[str, str]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.status == 200
        return answer.read().decode(), answer.headers["x-release-id"]


def test_the_first_command_ends_with_a_dashboard(clone: Clone) -> None:
    command = re.search(r"^    (\./ci/env inv .*?) +#", (clone.folder / "README.md").read_text(), re.MULTILINE)
    assert command is not None
    done = clone.run(*command.group(1).split())
    assert done.returncode == 0
    last = done.stdout.rstrip().splitlines()
    assert last[-1].startswith("next: inv status | inv ") and last[-1].count("inv ") == 3
    document = clone.status()
    assert document["ok"]
    assert any(f"{document['url']}   release {document['release']} is live" in line for line in last)
    page, release = fetch(str(document["url"]))
    assert "<svg" in page and "<table" in page
    assert release == document["release"] and str(release) in page
    assert json.loads(fetch(f"{document['url']}/api/health/ready")[0]) == {"database": "ok", "cache": "ok"}
    assert clone.run("git", "status", "--porcelain").stdout == ""


def test_again_without_a_change_builds_and_deploys_nothing(clone: Clone) -> None:
    done = clone.inv("deploy", "--canary")
    assert done.returncode == 0
    assert "is live already" in done.stdout


def test_a_change_goes_live_through_a_canary(clone: Clone) -> None:
    clone.hurry()
    before = clone.status()["release"]
    page = clone.folder / PAGE
    body = page.read_text()
    assert "<main" in body
    page.write_text(body.replace("<main", '<main data-changed="yes"', 1))
    done = clone.inv("deploy", "--canary", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 0, document
    assert document["release"] != before
    assert [v["outcome"] for v in document["verdict"]] == ["pass", "pass"]
    assert (document["receipt"]["lost"], document["receipt"]["duplicated"]) == (0, 0)
    assert 'data-changed="yes"' in fetch(document["url"])[0]


def test_a_change_that_answers_500_is_rolled_back_by_itself(clone: Clone) -> None:
    live = clone.status()
    page = clone.folder / PAGE
    body = page.read_text()
    broken = body.replace("  const shown =", '  if (Date.now() > 0) throw new Error("broken");\n  const shown =')
    assert broken != body
    page.write_text(broken)
    try:
        done = clone.inv("deploy", "--canary", "--json")
    finally:
        page.write_text(body)
    document = json.loads(done.stdout)
    assert done.returncode == 4, document
    assert document["hint"]
    now = clone.status()
    assert (now["release"], now["weights"]) == (live["release"], live["weights"])
    assert 'data-changed="yes"' in fetch(str(now["url"]))[0]


def test_a_type_error_is_refused_with_file_and_line(clone: Clone) -> None:
    wrong = clone.folder / "examples/dashboard/lib/wrong.ts"
    wrong.write_text('export const count: number = "three";\n')
    try:
        done = clone.inv("deploy", "--canary")
    finally:
        wrong.unlink()
    assert done.returncode == 1
    assert "lib/wrong.ts" in done.stderr and "line 1" in done.stderr and "TS2322" in done.stderr
    assert "error: 1 type error in web" in done.stderr


def test_a_stale_lock_file_is_refused_with_the_command_that_mends_it(clone: Clone) -> None:
    manifest = clone.folder / "examples/dashboard/package.json"
    body = manifest.read_text()
    document = json.loads(body)
    document["dependencies"]["left-pad"] = "1.3.0"
    manifest.write_text(json.dumps(document, indent=2))
    try:
        done = clone.inv("build")
    finally:
        manifest.write_text(body)
    assert done.returncode in (1, 2, 6)
    assert "pnpm-lock.yaml is not up to date" in done.stderr and "install --no-frozen-lockfile" in done.stderr
