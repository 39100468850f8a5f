"""Signals become one exception, at a moment when it does no harm."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from adaf_pipeline.errors import InterruptedRunError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While entered, SIGINT, SIGTERM and SIGHUP raise InterruptedRunError in the main thread, or wait until
    ``shielded`` code (the journal, an undo) is through. ``ignored`` is called for a signal that came while undoing.
    """

    def __init__(self, ignored: Callable[[str], None]) -> None:
        self._ignored = ignored
        self._shields = 0
        self._undoing = False
        self._raised = False
        self.pending = ""

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # a test or a host program: signals are its own business
            return
        before = {number: signal.signal(number, self._arrived) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def shielded(self) -> Iterator[None]:
        """A signal waits until the end of this block, and is raised by the next ``check``."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1

    @property
    def is_undoing(self) -> bool:
        return self._undoing

    def undoing(self) -> None:
        """From here on signals are only acknowledged: an undo is never broken off."""
        self._undoing = True

    def check(self) -> None:
        """Raise what came while shielded; and again what was raised, but caught by somebody who meant another error."""
        if self.pending and not self._undoing:
            self._raised = True
            raise InterruptedRunError(f"interrupted by {self.pending}", "run the task again when you are ready")

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self._undoing or self._raised:  # raised: on its way up, and what cleans up there is not broken off
            self._ignored(name)
            return
        self.pending = name
        if not self._shields:
            self.check()
