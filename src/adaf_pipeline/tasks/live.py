"""The live screen: one frame that is redrawn while a run goes on, and its story when the run is over.

Only a thread of its own draws: a signal raises in the main thread, and must not do so in the middle of a frame; and a
terminal that takes nothing (Ctrl-S, a connection that hangs) stops that thread, never the run.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from types import FrameType
from typing import Any

from rich.console import Console
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from adaf_pipeline.errors import InterruptedRunError
from adaf_pipeline.event import Event
from adaf_pipeline.tasks.board import Board
from adaf_pipeline.tasks.console import Screen
from adaf_pipeline.tasks.drawing import Paper, frame, story

PERIOD = 0.25  # seconds between two frames


class LiveScreen(Screen):
    """A Screen for a terminal. The frame is there from the first step to ``close``, which leaves the story instead."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.board = Board()
        # Held to look at the board or to tell it, and never while something is written. An interrupt that is
        # acknowledged speaks while the main thread holds it.
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._woken = False
        self._broke = ""  # a bug of ours in what is drawn; the run has nothing to do with it
        self._before: Any = None
        self._drawn: list[int] = []  # widths of the lines of the last frame
        self._width = 0
        self._live = Live(
            get_renderable=self._frame,
            console=console,
            auto_refresh=False,
            transient=True,
            vertical_overflow="crop",
        )
        self._thread = threading.Thread(target=self._draw, name="screen", daemon=True)

    def __call__(self, event: Event) -> None:
        try:
            with self._lock:
                self.board.tell(event)
        except InterruptedRunError:
            raise
        except Exception as exc:  # noqa: BLE001  a plugin may put anything into an event
            self._broke = f"{type(exc).__name__}: {exc}"
        if event.kind == "begin" and not self._live.is_started and not self._over.is_set():
            self._start()

    def verbatim(self, text: str, style: str = "") -> None:
        """Folded between words: a terminal would break them."""
        self.console.print(Text(text, style=style), soft_wrap=False)

    def _start(self) -> None:
        self._live.start()
        self.console.show_cursor(True)  # whoever kills or stops us gets a terminal that is in order
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGCONT, self._continued)
        self._thread.start()

    def close(self) -> None:
        """Take the frame away and print the story. A terminal that went away is nobody to tell it to."""
        if self._over.is_set() or not self._live.is_started:
            self._over.set()
            return
        self._over.set()
        self._thread.join(5)
        if self._before is not None:
            signal.signal(signal.SIGCONT, self._before)
        with contextlib.suppress(OSError, ValueError):
            self._settle()
            self._live.stop()
            for line in self._story():
                self.console.print(line)

    def _story(self) -> list[Text]:
        try:
            lines = story(self.board, self._paper())
        except Exception as exc:  # noqa: BLE001  how the run ended is still to be said
            self._broke, lines = f"{type(exc).__name__}: {exc}", []
        return [*lines, *([Text(f"the screen broke: {self._broke}")] if self._broke else [])]

    def _continued(self, _number: int, _frame: FrameType | None) -> None:
        self._woken = True

    def _draw(self) -> None:
        try:
            while not self._over.is_set():
                self._settle()
                self._live.refresh()
                self._over.wait(PERIOD)
        except OSError:  # the terminal is gone: the run goes on without us
            return
        except Exception as exc:  # noqa: BLE001  told at the end
            self._broke = f"{type(exc).__name__}: {exc}"

    def _settle(self) -> None:
        """Make up for what moved the cursor behind rich's back, so that the next frame covers the last one."""
        width, height = self.console.width, len(self._drawn)
        if self._woken:  # the shell wrote below us meanwhile: go on below that
            self._woken = False
            self.console.control(Control(*[(ControlType.CARRIAGE_RETURN,)]))
            self.console.file.write("\n" * max(0, height - 1))
        elif self._width and width < self._width:  # a narrower terminal folded the lines of the last frame
            rows = sum(max(1, -(-cells // max(1, width))) for cells in self._drawn)
            up = (ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)
            self.console.control(
                Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2), *up * (rows - height))
            )
        self._width = width

    def _paper(self) -> Paper:
        signs = "utf" in self.console.encoding.lower()
        return Paper(self.console.width, self.console.height, signs)

    def _frame(self) -> Text:
        if self._over.is_set() or not self.board.rows:
            lines: list[Text] = []
        else:
            with self._lock:
                lines = frame(self.board, self._paper())
        self._drawn = [line.cell_len for line in lines]
        return Text("\n", no_wrap=True).join(lines)
