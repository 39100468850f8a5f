"""A checkout whose overlay puts the tiny application on Docker Compose, and what its visitors see of a fault."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from driving import HASTY, UNLIMITED, Pipeline, free_port, until
from engines import OURS, say

from adaf_compose.backend import Compose
from adaf_pipeline.stack import Stack, open_stack
from adaf_pipeline.workflows.probe import ProbeSettings, ProbeStream
from adaf_pipeline.workflows.receipt import Result

SUITE = os.environ.get("ADAF_TEST_BASE", "bookworm")  # or trixie
BASE = f"adaf-test/base:{SUITE}"  # what `ci/base` makes and these tests build on
RATE, TIMEOUT = 100.0, 2.0  # requests/s, s: a visitor of these tests has little patience
APPS = "apps: {web: {use: python, path: app, environment: {LEDGER: cache}}}\n" + UNLIMITED
OVERLAY = """\
name: {name}
runtime: {{use: compose, bases: {{BASE_IMAGE: "{base}"}}}}
proxy: {{port: {port}}}
"""


class Prod(Pipeline):
    """The commands of a user, each with the stack's overlay."""

    def __init__(self, folder: Path) -> None:
        self.name, self.port = f"{OURS}{secrets.token_hex(3)}", free_port()
        super().__init__(folder)
        self.environment["ADAF_STACK"] = self.name
        self.url = f"http://127.0.0.1:{self.port}"

    def configure(self, extra: str = "", file: str = "", deploy: str = HASTY) -> None:
        """``extra`` goes into the overlay, whose file this is unless another one is named."""
        (self.folder / "adaf.yaml").write_text(APPS + deploy)
        overlay = OVERLAY.format(name=self.name, base=BASE, port=self.port)
        (self.folder / (file or f"adaf.{self.name}.yaml")).write_text(overlay + extra)

    def purge(self) -> None:
        self.configure()
        done = self.run("down", "--purge", "--json", "--yes", self.name)
        assert done.code == 0, done.stderr

    @contextlib.contextmanager
    def opened(self) -> Iterator[Stack]:
        """The same stack in this process."""
        with contextlib.chdir(self.folder):
            yield open_stack(self.name)

    def images(self) -> list[str]:
        """Those that its services need, built if they are not there."""
        with self.opened() as stack:
            runtime = cast(Compose, stack.runtime)
            services = (*stack.services(), *(app.service("blue", 1, "") for app in stack.apps.values()))
            names = sorted({service.image for service in services})
            runtime.images.ensure(names, say)
            return [runtime.images.tag(name) for name in names]

    def pid(self, service: str) -> int:
        """Of its first process, as the host numbers it."""
        with self.opened() as stack:
            return stack.runtime.observe()[service].pid

    def share(self) -> dict[str, float]:
        """What the balancer does, not what is written down."""
        with self.opened() as stack:
            return dict(stack.balancer.live_share())

    def whole(self, seconds: float = 60) -> None:
        """Wait until every service that `status` knows is ready. (A share that is mixed is not "ok" to it.)"""

        def ready() -> bool:
            services = self.run("status", "--json").document.get("services", [])
            return bool(services) and all(s["ready"] for s in services)

        until(ready, seconds, "the stack to be whole")


@dataclass(frozen=True)
class Seen:
    """What visitors met: GET and POST in turn, on kept and on new connections, and nobody asks twice."""

    results: tuple[Result, ...]
    whole: float = 0.0  # unix seconds, when everything was as it should be again

    @property
    def lost(self) -> list[Result]:
        """No complete answer, or one that is not the application's."""
        return [r for r in self.results if r.lost]

    @property
    def refused(self) -> list[Result]:
        """A complete 5xx of the application: it could not do what was asked, and said so."""
        return [r for r in self.results if not r.lost and r.status >= 500]

    @property
    def repeated(self) -> list[Result]:
        return [r for r in self.results if (r.seen or 1) > 1]

    def seconds(self) -> float:
        """From the first answer that was missed until the last one."""
        bad = [*self.lost, *self.refused]
        return max(r.sent_at + r.seconds for r in bad) - min(r.sent_at for r in bad) if bad else 0.0

    def releases(self, since: float = 0.0) -> Counter[str]:
        """Good answers by the release that gave them."""
        return Counter(r.release for r in self.results if r.sent_at >= since and r.release)

    def __str__(self) -> str:
        kinds = Counter(f"{r.method} {r.error or r.status}" for r in (*self.lost, *self.refused))
        said = ", ".join(f"{count} x {kind}" for kind, count in kinds.most_common()) or "nothing"
        return f"{len(self.lost)} lost and {len(self.refused)} refused of {len(self.results)} in {self.seconds():.1f} s ({said})"


@contextlib.contextmanager
def visited(prod: Prod, rate: float = RATE) -> Iterator[Callable[..., Seen]]:
    """Visitors for as long as the block lasts; the call ends them, and says what they saw (``whole``: of Seen)."""
    stream = ProbeStream(prod.url, ProbeSettings(rate=rate, post="/api/probe", timeout=TIMEOUT))
    stream.start()
    try:
        yield lambda whole=0.0: Seen(stream.stop(), whole)
    finally:
        stream.close()


def endured(prod: Prod, fault: Callable[[], object], moment: float = 1.0) -> Seen:
    """What visitors see of a fault: from a moment before it until the stack is whole again, and a moment longer."""
    with visited(prod) as end:
        time.sleep(moment)
        fault()
        prod.whole()
        whole = time.time()
        time.sleep(moment)
        return end(whole)


def by_hand(folder: Path, *words: str) -> None:
    """`docker compose -f docker-compose.prod.yml WORDS` in that folder. AssertionError with what it said."""
    argv = ["docker", "compose", "-f", "docker-compose.prod.yml", *words]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
