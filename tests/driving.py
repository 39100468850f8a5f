"""A checkout with the tiny application, and the commands that a user would run in it."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

SCHEMAS: dict[str, Any] = {
    name: json.loads(body)
    for name, body in re.findall(
        r"```json (\w+)\n(.*?)```", (Path(__file__).parents[1] / "docs" / "json.md").read_text(), re.DOTALL
    )
}
TINY = Path(__file__).parent / "apps" / "tiny"
APPS = """
apps: {{web: {{use: python, path: app, environment: {{LEDGER: {ledger}}}}}}}
"""
HASTY = """
deploy:
  steps: [25]
  window: 1.5
  max_windows: 6
  bake: 1
  passes: 2
  ready_timeout: 4
  warmup: 0.2
  probe: {rate: 200, post: /api/probe, baseline: 0.5, timeout: 3}
"""


@dataclass
class Outcome:
    """How a command ended: exit code, JSON document ({} when stdout held none), and what it printed."""

    code: int
    document: dict[str, Any]
    stdout: str
    stderr: str


class Pipeline:
    """The commands of a user in a checkout of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = folder / "ledger"
        self.ledger.touch()
        self.ledger.chmod(0o666)  # the application runs as the stack's account
        shutil.copytree(TINY, folder / "app", ignore=shutil.ignore_patterns("__pycache__"))
        self.configure()

    def configure(self, extra: str = "", file: str = "adaf.yaml", deploy: str = HASTY) -> None:
        (self.folder / file).write_text(APPS.format(ledger=self.ledger) + deploy + extra)

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", "from adaf_pipeline.tasks.program import main; main()", *words],
            cwd=self.folder,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "300", **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, child: subprocess.Popen[str], seconds: float = 120) -> Outcome:
        try:
            out, err = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=60)
            raise AssertionError(f"did not end within {seconds} s:\n{out}\n{err}") from None
        document = json.loads(out) if out.lstrip().startswith("{") else {}
        if document:
            kind = "plan" if "facts" in document else "error" if "error" in document else document["task"]
            jsonschema.validate(document, SCHEMAS[kind])
        return Outcome(child.returncode, document, out, err)

    @staticmethod
    def reach(child: subprocess.Popen[str], step: str) -> None:
        """Read on until a running deploy (with --json: it talks on stderr) says that it begins ``step``."""
        assert child.stderr is not None
        for line in child.stderr:
            if f"] {step}: " in line:
                return
        raise AssertionError(f"ended before {step}: {child.communicate()}")

    def run(self, *words: str, **env: str) -> Outcome:
        return self.finish(self.start(*words, **env))

    def ok(self, *words: str) -> dict[str, Any]:
        done = self.run(*words, "--json")
        assert done.code == 0, f"{words}: exit {done.code}\n{done.stdout}\n{done.stderr}"
        return done.document

    def change(self, **behaviour: Any) -> None:
        """A new version of the application, well or as bad as said."""
        (self.folder / "app" / "version").write_text(uuid.uuid4().hex)
        file = self.folder / "app" / "behaviour"
        file.unlink(missing_ok=True)
        if behaviour:
            file.write_text(json.dumps(behaviour))

    def deploy(self, **behaviour: Any) -> Outcome:
        self.change(**behaviour)
        return self.run("deploy", "--canary", "--json")

    def good(self) -> dict[str, Any]:
        """Deploy a healthy version; its document."""
        done = self.deploy()
        assert done.code == 0, done.stdout + done.stderr
        return done.document

    def get(self, path: str = "/") -> tuple[int, str]:
        """Status and release id of one request through the edge."""
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:
            return answer.status, answer.headers["x-release-id"]

    def remember(self, url: str) -> None:
        self.url = url

    def status(self) -> dict[str, Any]:
        return self.run("status", "--json").document

    def live(self) -> tuple[str, str]:
        """Release id and colour that serve now, by what status says."""
        document = self.status()
        return document["release"], document["live"]

    def state(self) -> Path:
        """The stack's directory, as `down --plan` names it."""
        plan = self.run("down", "--plan", "--json").document
        return Path(plan["facts"]["state"])


def free_port() -> int:
    """Below the ephemeral range, so that no client's own port takes it meanwhile."""
    while True:
        port = random.randint(20_000, 32_000)
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def until(true: Callable[[], Any], seconds: float = 20, what: str = "it") -> Any:
    """Wait until it is true, and return that; fails with what was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        found = true()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)
