"""The load client and the tiny application, together and over real sockets."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from driving import TINY, free_port

from adaf_pipeline.testing.load import Load


@contextmanager
def tiny(tmp_path: Path, behaviour: object = None, **env: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    shutil.copy(TINY / "app.py", tmp_path / "app.py")
    (tmp_path / "behaviour").write_text(json.dumps(behaviour or {}))
    port = free_port()
    variables = {**os.environ, "PORT": str(port), "ADAF_RELEASE": "r7", "ADAF_COLOUR": "green", **env}
    program = [sys.executable, "-u", str(tmp_path / "app.py")]
    with subprocess.Popen(program, env=variables, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout and b"listens" in child.stdout.readline()
            yield f"http://127.0.0.1:{port}", child
        finally:
            child.kill()


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.headers["x-release-id"]
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.headers["x-release-id"]


@pytest.mark.parametrize("mode", ["keep", "close", "mixed"])
def test_client_and_ledger_agree(tmp_path: Path, mode: Literal["keep", "close", "mixed"]) -> None:
    ledger = tmp_path / "ledger"
    with tiny(tmp_path, LEDGER=str(ledger)) as (url, _):
        report = Load(url, mode=mode, requests=600, seconds=30, methods=("GET", "POST")).run()
    assert report.sent == report.ok == 600 and not report.lost and report.releases == {"r7": 600}
    written = ledger.read_text().split()
    assert sorted(written) == sorted(report.posts) and set(written) == report.confirmed
    assert 250 < len(report.posts) < 350
    assert report.reused == {"keep": 600 - 16, "close": 0}.get(mode, report.reused)
    assert report.latency["p50"] <= report.latency["p99"] <= report.latency["max"]


def test_a_load_in_a_process_sees_the_application_die(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    with (
        tiny(tmp_path, {"crash_after": 300}, LEDGER=str(ledger)) as (url, _),
        Load(url, requests=500, seconds=30, methods=("GET", "POST")).spawn() as load,
    ):
        report = load.wait()
    assert report.sent == 500 and report.ok == 300 and len(report.lost) == 200
    assert report.confirmed <= set(ledger.read_text().split()) <= set(report.posts)
    assert "ConnectionRefusedError" in {loss.reason for loss in report.lost}


def test_a_load_ends_when_it_is_told_to(tmp_path: Path) -> None:
    with tiny(tmp_path) as (url, _):
        for running in (Load(url, seconds=600).spawn(), Load(url, seconds=600, rate=50).start()):
            with running:
                time.sleep(0.5)
                report = running.stop()
            assert report.sent == report.ok > 10 and report.seconds < 10
        with Load(url, seconds=600).spawn():
            pass
        assert Load(url, seconds=0.5, rate=40, mode="mixed").run().sent == 20


def test_a_term_lets_what_is_in_flight_finish(tmp_path: Path) -> None:
    with tiny(tmp_path, {"slow": 0.6}) as (url, child), Load(url, connections=4, requests=4).start() as load:
        time.sleep(0.2)
        assert get(f"{url}/api/health/ready") == (200, "r7")
        child.send_signal(signal.SIGTERM)
        time.sleep(0.05)
        assert get(f"{url}/api/health/ready") == (503, "r7")
        assert get(f"{url}/api/health/live") == (200, "r7")
        report = load.wait()
        assert report.ok == 4
        assert child.wait(5) == 0


def test_behaviours(tmp_path: Path) -> None:
    with tiny(tmp_path, {"never_ready": True}) as (url, _):
        assert get(f"{url}/api/health/ready")[0] == 503 and get(url) == (200, "r7")
        assert get(f"{url}/nowhere") == (404, "r7")
    with tiny(tmp_path, {"fail": 0.2}) as (url, _):
        report = Load(url, requests=1000).run()
        assert 120 < report.statuses["500"] < 280 and report.statuses["200"] + report.statuses["500"] == 1000
        assert {get(f"{url}/api/health/ready")[0] for _ in range(20)} == {200}
    with tiny(tmp_path, {"drop": 0.5}) as (url, _):
        report = Load(url, requests=200).run()
        assert 50 < len(report.lost) < 150 and {loss.reason for loss in report.lost} == {"closed"}
    with tiny(tmp_path, {"hang": "traffic"}) as (url, _):
        assert get(f"{url}/api/health/ready")[0] == 200
        assert Load(url, requests=2, connections=2, timeout=0.2).run().lost[0].reason == "TimeoutError"
    with tiny(tmp_path, {"hang": True}) as (url, _):
        report = Load(url, get="/api/health/ready", requests=1, connections=1, timeout=0.2).run()
        assert len(report.lost) == 1
