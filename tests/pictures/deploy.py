"""The README's picture of a deploy: a real one of the tiny application, drawn as its live screen was. ``nox -s pictures``.

The journal has every event that the screen was told; told again up to a moment, it gives the frame of that moment.
"""

from __future__ import annotations

import io
import re
import shutil
import sys
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

sys.path.insert(0, str(Path(__file__).parents[1]))
from driving import Pipeline

from adaf_pipeline import journal
from adaf_pipeline.event import Event
from adaf_pipeline.tasks.board import Board
from adaf_pipeline.tasks.drawing import Paper, frame

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "deploy.svg"
COLUMNS, ROWS = 80, 26
DEPLOY = """
deploy:
  steps: [5, 25, 50]
  window: 10
  max_windows: 4
  bake: 5
  warmup: 1
  probe: {rate: 80, post: /api/probe, baseline: 2}
"""
FONTS = 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace'


def deployed() -> list[Event]:
    """The events of a second deploy: there is something live to compare it with."""
    folder = Path(tempfile.mkdtemp(prefix="adaf-picture-"))
    folder.chmod(0o755)
    pipeline = Pipeline(folder)
    pipeline.configure(deploy=DEPLOY)
    try:
        for words in (("deploy",), ("deploy", "--canary")):
            pipeline.change()
            run = pipeline.ok(*words)["run"]
        return list(journal.read(journal.directory(pipeline.state()) / f"{run}.jsonl"))
    finally:
        pipeline.ok("down", "--purge")
        shutil.rmtree(folder)


def moment(events: list[Event], step: str, seconds: float) -> Board:
    """The board as it was when ``step`` had been watched for so long."""
    now = events[0].at
    board = Board(clock=lambda: now)
    for event in events:
        now = event.at
        board.tell(event)
        if event.step == step and event.data.get("watch", {}).get("seconds", 0) >= seconds:
            return board
    raise SystemExit(f"error: the deploy never watched {step} for {seconds:g} s")


def svg(lines: list[Text]) -> str:
    """Without the font that rich's template would load from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in lines:
        console.print(line)
    template = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    template = template.replace("Fira Code, monospace", FONTS)
    made = console.export_svg(title="inv deploy --canary", code_format=template, unique_id="deploy")
    return re.sub(r"[ \t]+\n", "\n", re.sub(r"\n\s*\n+", "\n", made)) + "\n"


def main() -> None:
    board = moment(deployed(), "canary-25", 6)
    drawn = frame(board, Paper(COLUMNS, ROWS))
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(svg(drawn))
    print(f"{PICTURE}: {PICTURE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
