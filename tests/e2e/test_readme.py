"""The README as a new user reads it: a fresh clone, its first command, the dashboard, a change, and a bad change."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
from driving import until
from observatory import Answer, Recorded, score
from pictures.dashboard import NAMES, chromium

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


def fetch(url: str, form: dict[str, str] | None = None) -> tuple[str, str]:
    data = urllib.parse.urlencode(form).encode() if form else None
    with urllib.request.urlopen(url, data, timeout=10) as answer:
        assert answer.status == 200
        return answer.read().decode(), answer.headers["x-release-id"]


@contextmanager
def away(clone: Clone, name: str) -> Iterator[None]:
    """A service that is stopped behind the pipeline's back, through its own supervisor."""
    services = cast(list[dict[str, Any]], clone.status()["services"])
    pid = next(service["pid"] for service in services if service["name"] == name)
    parent = re.search(r"^PPid:\s*(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert parent is not None
    folder = Path(f"/proc/{parent.group(1)}/cwd").readlink()
    subprocess.run(["s6-svc", "-d", folder], check=True)
    until(lambda: not Path(f"/proc/{pid}").exists())
    try:
        yield
    finally:
        subprocess.run(["s6-svc", "-u", folder], check=True)


def ready(url: str) -> bool:
    try:
        return bool(fetch(f"{url}/api/health/ready"))
    except urllib.error.HTTPError:
        return False


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


def test_the_page_runs_only_what_carries_its_nonce(clone: Clone) -> None:
    url = str(clone.status()["url"])
    nonces = []
    for _ in range(2):
        with urllib.request.urlopen(url, timeout=10) as answer:
            page = Answer(url, answer.status, tuple(answer.headers.items()), answer.read().decode())
        nonce = re.search(r"script-src 'nonce-([^']+)' 'strict-dynamic'", page.header("content-security-policy"))
        assert nonce is not None
        nonces.append(nonce[1])
        assert page.markup.scripts
        assert {script.get("nonce") for script in page.markup.scripts} == {nonce[1]}
    assert nonces[0] != nonces[1]
    # As behind TLS: the scanner looks at nothing else.
    found = {result.found for result in score(Recorded(replace(page, url="https://site.test/"))).results}
    assert {
        "csp-implemented-with-no-unsafe-default-src-none",
        "x-frame-options-implemented-via-csp",
        "sri-implemented-and-all-scripts-loaded-securely",
    } <= found


def test_behind_tls_the_edge_and_the_page_score_155_of_165_and_more(clone: Clone) -> None:
    """By the Observatory's algorithm, on what a visitor gets through the edge; TLS and its redirect are in front of it."""
    file = clone.folder / "adaf.yaml"
    told, count = re.subn(
        r"^proxy: nginx.*$", "proxy: {use: nginx, trusted: [127.0.0.1]}", file.read_text(), flags=re.M
    )
    assert count == 1
    file.write_text(told)
    assert clone.inv("up").returncode == 0
    url = str(clone.status()["url"])
    route = ("http://site.test/", "https://site.test/")
    points = {}
    for path in ("/", "/?station=summit&range=7d", "/nothing-here", "/api/health/ready"):
        asked = urllib.request.Request(url + path, headers={"X-Forwarded-Proto": "https"})
        try:
            answer = urllib.request.urlopen(asked, timeout=10)
        except urllib.error.HTTPError as exc:
            answer = exc
        with answer:
            body = answer.read().decode()
        page = Answer("https://site.test/", answer.status, tuple(answer.headers.items()), body)
        points[path] = score(Recorded(page, route=route)).points
    print(f"header score of 165: {points}")
    assert min(points.values()) >= 155, points


@pytest.mark.skipif(not any(map(shutil.which, NAMES)), reason="no Chromium on PATH")
def test_a_browser_runs_the_page_without_a_complaint(clone: Clone) -> None:
    complaints = []
    with chromium() as browser:
        for domain in ("Page", "Log", "Runtime", "Network"):
            browser.ask(f"{domain}.enable")
        browser.ask("Page.navigate", url=str(clone.status()["url"]))
        for heard in browser.heard():
            if heard.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown", "Network.loadingFailed"):
                complaints.append(heard["params"])
            if heard.get("method") == "Page.loadEventFired":
                break
        # React marks what it has taken over.
        alive = "Object.keys(document).some(key => key.startsWith('__react'))"
        until(lambda: browser.ask("Runtime.evaluate", expression=alive)["result"]["value"] is True)
    assert complaints == []


def test_the_page_is_filtered_by_its_address(clone: Clone) -> None:
    url = str(clone.status()["url"])
    everything, week = fetch(url)[0], fetch(f"{url}/?station=summit&range=7d")[0]
    assert "Line chart of the last 24 hours: harbour from" in everything
    assert "Line chart of the last 7 days: summit from" in week
    assert 'class="key harbour"' in everything and 'class="key harbour"' not in week
    assert week.count('aria-current="true"') == 2
    wrong = fetch(f"{url}/?station=%27%20or%201&range=9y")[0]
    assert "There is no such station" in wrong and "There is no such time range" in wrong
    assert "Line chart of the last 24 hours: harbour from" in wrong


def test_a_new_reading_ends_what_the_cache_has_of_every_filter(clone: Clone) -> None:
    url = str(clone.status()["url"])
    assert "41.5" not in fetch(url)[0] + fetch(f"{url}/?station=meadow&range=7d")[0]
    form = {"station": "meadow", "value": "41.5", "shownStation": "meadow", "shownRange": "7d"}
    saved = fetch(f"{url}/api/readings", form)[0]  # redirected to the page that it came from
    assert "The reading was saved." in saved and "Line chart of the last 7 days: meadow from" in saved
    assert all("41.5" in page for page in (saved, fetch(url)[0]))


def test_a_cache_and_a_database_that_are_away_are_said_on_the_page(clone: Clone) -> None:
    url = str(clone.status()["url"])
    with away(clone, "cache.1"):
        page = fetch(url)[0]
        assert "Cache unavailable." in page and "<svg" in page
        with away(clone, "database.1"):
            page = fetch(url)[0]
            assert "Database unavailable." in page and "No figures" in page and "Add a reading" not in page
    until(lambda: ready(url))
    assert "unavailable" not in fetch(url)[0]  # which also fills the cache
    with away(clone, "database.1"):
        time.sleep(5.5)  # until what it has is not fresh any more
        page = fetch(url)[0]
        assert "Database unavailable." in page and "These are the figures of" in page and "<svg" in page
    until(lambda: ready(url))


def test_without_readings_the_page_says_so(clone: Clone) -> None:
    assert clone.inv("psql", "--command", "delete from readings").returncode == 0
    time.sleep(5.5)
    page = fetch(str(clone.status()["url"]))[0]
    assert "No readings yet" in page and "Add a reading" in page and "<svg" not in page


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
    assert done.returncode == 6
    assert "left-pad: not in pnpm-lock.yaml" in done.stderr
    assert "pnpm-lock.yaml is not up to date" in done.stderr and "install --no-frozen-lockfile" in done.stderr
