"""Services that print a lot, and services that end again and again, under the real supervisor."""

from __future__ import annotations

import itertools
import os
import re
import signal
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from driving import until

from adaf_local.backend import Local, Settings
from adaf_pipeline.errors import ServiceError
from adaf_pipeline.service import Binary, File, Port, Probe, Ref, Service, Volume, argv, text
from adaf_pipeline.testing.stack import fake_stack, quiet

PYTHON = Binary("python3", "python3", ("3.9", "4"))
FIRST, ALL = 100_000, 280_000  # lines of 100 bytes and a stamp: 13 MB while somebody reads, then 24 MB at once
TALKER = f"""
import os, sys, time
for number in range({ALL}):
    print(f"{{number:099d}}")
    if number < {FIRST} and number % 5000 == 0:
        time.sleep(0.02)
    while number == {FIRST} and not os.path.exists(sys.argv[1]):
        sys.stdout.flush()
        time.sleep(0.02)
sys.stdout.flush()
time.sleep(3600)
"""
ONCE = """
import http.server, os, sys, time
if os.path.exists(sys.argv[1]):
    time.sleep(0.7)
    sys.exit(3)
open(sys.argv[1], "w").close()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    local = Local(Settings(), fake_stack(tmp_path_factory.mktemp("stack")))
    try:
        yield local
    finally:
        local.down(purge=True, progress=quiet)


def program(name: str, body: str, ready: Probe | None = None) -> Service:
    """A Python program that is told of a file of its own."""
    return Service(
        name,
        "app",
        argv(Ref("binary", "", "python3"), Ref("path", name, "program.py"), Ref("path", name, "data", "mark")),
        binaries=(PYTHON,),
        environment={"PORT": text(Ref("instance", name, "http", "port"))},
        files=(File("program.py", text(body)),),
        volumes=(Volume("data"),),
        ports=(Port("http"),),
        ready=ready,
        stop_grace=1,
    )


def numbers(lines: list[str]) -> list[int]:
    return [int(line.split()[-1]) for line in lines]


def test_logs_are_rotated_and_bounded_and_a_reader_loses_nothing(runtime: Local) -> None:
    service = program("talker.1", TALKER)
    runtime.start((service,), quiet)
    folder, mark = runtime.state / "logs" / "talker.1", Path(runtime.resolve(Ref("path", "talker.1", "data", "mark")))
    until(lambda: folder.joinpath("current").exists() and folder.joinpath("current").stat().st_size, what="a line")
    seen: list[str] = []

    def follow() -> None:
        for line in runtime.logs("talker.1", 5, follow=True):
            seen.append(line)
            if numbers([line]) == [FIRST]:
                return

    reader = threading.Thread(target=follow, daemon=True)
    reader.start()
    reader.join(30)
    assert not reader.is_alive()
    assert len(list(folder.glob("@*.s"))) >= 5
    first = numbers(seen[:1])[0]
    assert first < FIRST - 20_000, "it has to see some rotations"
    assert numbers(seen) == list(range(first, FIRST + 1))

    mark.touch()
    until(lambda: numbers(list(runtime.logs("talker.1", 1))) == [ALL - 1], what="the last line")
    assert numbers(list(runtime.logs("talker.1", 30_000))) == list(range(ALL - 30_000, ALL))
    kept = list(folder.glob("@*.s"))
    assert len(kept) == 10
    assert sum(file.stat().st_size for file in folder.iterdir()) < 11 * 2_010_000
    runtime.stop(["talker.1"], quiet)


def test_a_service_that_ends_at_once_is_started_once_a_second_and_called_failed(runtime: Local) -> None:
    service = Service("loop.1", "app", argv("/bin/sh", "-c", "echo started; exit 3"), stop_grace=1)
    runtime.start((service,), quiet)

    def starts() -> list[datetime]:
        lines = [line for line in runtime.logs("loop.1", 100) if line.endswith("started")]
        return [datetime.fromisoformat(line[:26]) for line in lines]

    until(lambda: len(starts()) >= 4, what="four starts")
    seen = until(lambda: (o := runtime.observe()["loop.1"]).state == "failed" and o, what="a moment between two")
    assert re.fullmatch(r"ended with exit code 3 \d+ s ago", seen.reason)
    assert not seen.ready
    began = starts()
    assert all(0.9 < (after - before).total_seconds() < 5 for before, after in itertools.pairwise(began))
    runtime.stop(["loop.1"], quiet)


def test_what_never_gets_ready_fails_after_three_ends_with_its_last_words(runtime: Local) -> None:
    service = program("never.1", "import sys\nprint('no luck')\nsys.exit(4)\n", Probe("http", deadline=60))
    with pytest.raises(
        ServiceError, match=r"never\.1 is not ready: .*it ends again and again \(exit code 4\)"
    ) as caught:
        runtime.start((service,), quiet)
    assert caught.value.hint == "inv logs --service never.1"
    assert any(line.endswith("no luck") for line in caught.value.detail)
    runtime.stop(["never.1"], quiet)


def test_a_service_that_is_just_up_again_is_told_with_how_it_ended(runtime: Local) -> None:
    runtime.start((program("once.1", ONCE, Probe("http", http="/")),), quiet)
    assert runtime.observe()["once.1"].ready
    os.kill(runtime.observe()["once.1"].pid, signal.SIGKILL)
    seen = until(
        lambda: (o := runtime.observe()["once.1"]).state == "up" and "exit code 3" in o.reason and o,
        what="a short life",
    )
    assert not seen.ready
    assert re.fullmatch(r"connection refused; it ended \d+ times since its start, last with exit code 3", seen.reason)
    runtime.stop(["once.1"], quiet)
