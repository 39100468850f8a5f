"""The README's pictures of the dashboard, made of the one that runs, with Chromium. ``nox -s pictures`` starts it.

Chromium is spoken to in its own words (the DevTools protocol) over two pipes: nothing to install, and the colour scheme
is what the page asks for, not a filter over it.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adaf_pipeline.errors import PreconditionError

PLACE = Path(__file__).parents[2] / "docs" / "pictures"
WIDTH, HEIGHT = 1000, 750
SMALLER_THAN = 150_000
NAMES = ("chromium", "chromium-browser", "google-chrome")


class Browser:
    """One tab. ``PreconditionError`` when Chromium goes away."""

    def __init__(self, to: int, back: int) -> None:
        self.to, self.back = to, back
        self.session: dict[str, str] = {}
        self.count = 0
        self.left = b""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = {"sessionId": self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}

    def ask(self, method: str, **params: object) -> Any:
        self.count += 1
        words = {"id": self.count, "method": method, "params": params, **self.session}
        os.write(self.to, json.dumps(words).encode() + b"\0")
        answer = next(heard for heard in self.heard() if heard.get("id") == self.count)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def wait_for(self, event: str) -> None:
        next(heard for heard in self.heard() if heard.get("method") == event)

    def heard(self) -> Iterator[dict[str, Any]]:
        while True:
            while b"\0" not in self.left:
                more = os.read(self.back, 1 << 20)
                if not more:
                    raise PreconditionError(
                        "chromium ended", "run it by hand: chromium --headless --no-sandbox about:blank"
                    )
                self.left += more
            message, _, self.left = self.left.partition(b"\0")
            yield json.loads(message)


@contextmanager
def chromium() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        raise PreconditionError("no Chromium on PATH", "apt-get install --no-install-recommends chromium")
    theirs_in, to = os.pipe()
    back, theirs_out = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        words = [
            program,
            "--headless",
            "--no-sandbox",
            "--hide-scrollbars",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
        ]
        # It reads from 3 and writes to 4; the shell puts our pipes there (by their names of one digit: dash knows no others).
        shell = ["sh", "-c", 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null', "sh", *words]
        child = subprocess.Popen(shell, stdin=theirs_in, stdout=theirs_out, stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            yield Browser(to, back)
        finally:
            os.close(to)  # which ends it
            child.wait(20)
            os.close(back)


def dashboard() -> str:
    """The address of what is live here."""
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "status", "--json"],
        capture_output=True, text=True, cwd=PLACE.parents[1],
    )  # fmt: skip
    status = json.loads(done.stdout or "{}")
    if not status.get("release") or not status.get("url"):
        raise PreconditionError("no dashboard is live in this checkout", "inv deploy")
    return str(status["url"])


def main() -> int:
    try:
        url = dashboard()
        with chromium() as browser:
            browser.ask("Page.enable")
            browser.ask(
                "Emulation.setDeviceMetricsOverride", width=WIDTH, height=HEIGHT, deviceScaleFactor=1, mobile=False
            )
            for scheme in ("light", "dark"):
                feature = {"name": "prefers-color-scheme", "value": scheme}
                browser.ask("Emulation.setEmulatedMedia", features=[feature])
                browser.ask("Page.navigate", url=url)
                browser.wait_for("Page.loadEventFired")
                picture = base64.b64decode(browser.ask("Page.captureScreenshot", format="png")["data"])
                if len(picture) > SMALLER_THAN:
                    raise PreconditionError(
                        f"{scheme}: the picture has {len(picture)} bytes", "make it smaller: it is for a README"
                    )
                PLACE.mkdir(parents=True, exist_ok=True)
                file = PLACE / f"dashboard-{scheme}.png"
                file.write_bytes(picture)
                print(f"{file.relative_to(PLACE.parents[1])}  {len(picture) // 1000} kB")
    except PreconditionError as exc:
        print(f"error: pictures: {exc}\nhint: {exc.hint}", file=sys.stderr)
        return 6
    return 0


if __name__ == "__main__":
    sys.exit(main())
