"""A deploy in a real terminal: the live screen appears, and leaves its story and a terminal in order."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from driving import HASTY, Pipeline, until

PROGRAM = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # a Ctrl-C in this terminal reaches us
from adaf_pipeline.tasks.program import main
main()
"""
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Seat:
    """Somebody at a terminal of a size, who sees what a command writes to it."""

    def __init__(
        self, pipeline: Pipeline, *words: str, columns: int = 80, rows: int = 24, out: int | None = None, **env: str
    ) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        kept = {k: v for k, v in os.environ.items() if k not in ("CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")}
        self.child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *words],
            cwd=pipeline.folder,
            env={**kept, "TERM": "xterm-256color", **env},
            stdin=slave,
            stdout=slave if out is None else out,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.said = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            while piece := os.read(self.master, 65536):
                self.said += piece
        except OSError:  # the last one has closed it
            return

    @property
    def seen(self) -> str:
        return self.said.decode(errors="replace").replace("\r\n", "\n")

    def end(self, seconds: float = 90) -> tuple[int, list[str]]:
        """Exit code, and the lines that stay: what was written after the last frame was taken away."""
        code = self.child.wait(seconds)
        self._reader.join(5)
        return code, ESCAPE.sub("", self.seen.rpartition("\x1b[2K")[2]).splitlines()


@contextmanager
def seat(pipeline: Pipeline, *words: str, **options: object) -> Iterator[Seat]:
    made = Seat(pipeline, *words, **options)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        if made.child.poll() is None:
            made.child.send_signal(signal.SIGTERM)
            made.child.wait(60)
        os.close(made.master)


def in_order(seat: Seat) -> bool:
    """The cursor is shown, and no other screen or mode was left on."""
    return seat.seen.rfind("\x1b[?25h") > seat.seen.rfind("\x1b[?25l") and "\x1b[?1049h" not in seat.seen


def test_a_deploy_is_one_live_screen_and_leaves_its_story(pipeline: Pipeline) -> None:
    pipeline.change()
    with seat(pipeline, "deploy", "--canary") as terminal:
        until(lambda: "▸ canary-25" in ESCAPE.sub("", terminal.seen), 60, "the canary on the screen")
        until(lambda: "so far" in terminal.seen, 20, "a verdict so far")
        code, lines = terminal.end()
    assert code == 0, terminal.seen[-3000:]
    assert in_order(terminal)
    assert lines[0].startswith("deploy to ") and " done in " in lines[0]
    told = [line.split()[1] for line in lines if line.startswith("  ✓ ")]
    assert told[-4:] == ["canary-25", "full", "bake", "confirm"]
    assert lines[-1] == "next: inv status | inv rollback | inv logs --service proxy.1"
    assert len(lines) < 30 and not [line for line in lines if "▸" in line or line.startswith("  · ")]
    frames = ESCAPE.sub("", terminal.seen)
    for word in ("share    requests   failed", "probes", "for a verdict", "inv promote (to 100 %)", "Ctrl-C here"):
        assert word in frames, word


def test_a_failed_canary_and_a_ctrl_c_leave_their_stories_too(pipeline: Pipeline) -> None:
    pipeline.change(fail=0.5)
    with seat(pipeline, "deploy", "--canary", NO_COLOR="1", columns=60) as terminal:
        code, lines = terminal.end()
    assert code == 4 and in_order(terminal)
    assert "failed after" in lines[0]
    assert any(line.startswith("  ✗ canary-25     FAILED: canary at 25 %") for line in lines)
    assert any("taken back: all visitors back to" in line for line in lines)
    assert lines[-2].startswith("error: canary at 25 %") and lines[-1].startswith("hint: inv logs --service web.")
    assert not re.search(r"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7]|38;[0-9;]*)m", terminal.seen)
    pipeline.change()
    with seat(pipeline, "deploy", "--hold") as terminal:
        until(lambda: "for `inv promote`" in terminal.seen, 60, "the held step")
        os.write(terminal.master, b"\x03")
        code, lines = terminal.end()
    assert code == 130 and in_order(terminal), terminal.seen[-2000:]
    assert "  ✗ canary-25     FAILED: interrupted by SIGINT" in "\n".join(lines)
    assert lines[-2:] == ["error: interrupted by SIGINT", "hint: run the task again when you are ready"]


def test_a_smaller_window_and_a_stop_do_not_break_it(pipeline: Pipeline) -> None:
    pipeline.configure(deploy=HASTY.replace("window: 1.5", "window: 5"))
    pipeline.change()
    try:
        with seat(pipeline, "deploy", "--canary", columns=100, rows=40) as terminal:
            until(lambda: "▸ canary-25" in ESCAPE.sub("", terminal.seen), 60, "the canary on the screen")
            fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 60, 0, 0))
            before = len(terminal.seen)
            until(lambda: "Ctrl-C here" in terminal.seen[before:], 10, "a frame of the new size")
            os.kill(terminal.child.pid, signal.SIGSTOP)
            time.sleep(0.5)
            os.kill(terminal.child.pid, signal.SIGCONT)
            code, lines = terminal.end()
    finally:
        pipeline.configure()
    assert code == 0, terminal.seen[-3000:]
    assert in_order(terminal) and "done in" in lines[0]
    assert all(len(line) < 60 for line in lines if line.startswith("  ✓ "))
    assert lines[-1].startswith("next: ")


@pytest.mark.parametrize("env", [{"CI": "true"}, {"TERM": "dumb"}])
def test_a_log_on_a_terminal_is_lines(pipeline: Pipeline, env: dict[str, str]) -> None:
    pipeline.change()
    with seat(pipeline, "deploy", **env) as terminal:
        code, lines = terminal.end()
    assert code == 0
    assert "\x1b" not in terminal.seen
    assert any("] confirm: from here on the release counts as good" in line for line in lines)


def test_a_document_goes_to_a_pipe_while_the_screen_stays_on_the_terminal(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.good()
    pipeline.change()
    with (tmp_path / "document").open("wb") as sink, seat(pipeline, "deploy", "--json", out=sink.fileno()) as terminal:
        code, lines = terminal.end()
    document = json.loads((tmp_path / "document").read_text())
    assert code == 0 and document["ok"] and document["task"] == "deploy"
    assert "Ctrl-C here" in terminal.seen and lines[-1].startswith("  ") and "done in" in lines[0]
