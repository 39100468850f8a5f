"""A checkout with the tiny application, and the commands that a user would run in it."""

from __future__ import annotations

import json
import random
import re
import shutil
import socket
import time
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema

from adaf_pipeline.testing.driving import Commands, Outcome

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
UNLIMITED = "proxy: {limits: {mode: none}}\n"  # all visitors of a test have one address
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


class Pipeline(Commands):
    """The commands of a user in a checkout of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ledger = folder / "ledger"
        self.ledger.touch()
        self.ledger.chmod(0o666)  # the application runs as the stack's account
        shutil.copytree(TINY, folder / "app", ignore=shutil.ignore_patterns("__pycache__"))
        self.configure()

    def configure(self, extra: str = "", file: str = "adaf.yaml", deploy: str = HASTY) -> None:
        edge = "" if "proxy:" in extra else UNLIMITED
        (self.folder / file).write_text(APPS.format(ledger=self.ledger) + edge + deploy + extra)

    def outcome(self, code: int, out: str, err: str) -> Outcome:
        done = super().outcome(code, out, err)
        if done.document:
            kind = (
                "plan" if "facts" in done.document else "error" if "error" in done.document else done.document["task"]
            )
            jsonschema.validate(done.document, SCHEMAS[kind])
        return done

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
