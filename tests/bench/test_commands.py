"""What a person waits for: the list of tasks, and a stack that comes up; and what it needs of the memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from driving import Pipeline
from figures import Figures

ROOT = Path(__file__).parents[2]
BARE = 'from invoke import task\n\n\n@task\ndef hello(c):\n    """Say hello."""\n'


def seconds(do: Callable[[], object]) -> float:
    began = time.monotonic()
    do()
    return time.monotonic() - began


def test_listing(figures: Figures, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(BARE)
    inv = (sys.executable, "-m", "invoke", "--list")

    def listed(folder: Path) -> float:
        return seconds(lambda: subprocess.run(inv, cwd=folder, check=True, stdout=subprocess.DEVNULL)) * 1e3

    listed(ROOT), listed(tmp_path)  # bytecode
    pairs = [(listed(ROOT), listed(tmp_path)) for _ in range(15)]
    ours, bare = zip(*pairs, strict=True)
    how = f"medians, {median(ours):.0f} ms against bare Invoke with one task {median(bare):.0f} ms, alternated"
    figures.say("list_ratio", median(ours) / median(bare), "x", how, [a / b for a, b in pairs])
    how = f"the fastest of each, {min(ours):.0f} against {min(bare):.0f} ms"
    figures.say("list_ratio_min", min(ours) / min(bare), "x", how, len(pairs))


def test_up(pipeline: Pipeline, figures: Figures) -> None:
    warm: list[float] = []
    for _ in range(5):
        pipeline.ok("down")
        warm.append(seconds(lambda: pipeline.ok("up")))
    how = f"`up` after `down`, with data and two releases, the whole command; slowest {max(warm):.1f}"
    figures.say("up_warm", median(warm), "s", how, warm)
    again = [seconds(lambda: pipeline.ok("up")) for _ in range(5)]
    figures.say("up_again", median(again), "s", "`up` when everything runs as described", again)


def test_memory(pipeline: Pipeline, figures: Figures) -> None:
    document = pipeline.status()
    each = ", ".join(f"{s['name']} {s['memory_mb']:.0f}" for s in document["services"])
    figures.say("memory", document["memory_mb"], "MB", f"`status`, two colours of the tiny application: {each}")
