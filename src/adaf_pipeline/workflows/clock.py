"""A wall clock that does not jump: an hour set back or forth in the middle of a deploy must not judge a release."""

from __future__ import annotations

import time


class SteadyClock:
    """Unix seconds as they were when it was made, plus what has really passed since."""

    def __init__(self) -> None:
        self._wall, self._began = time.time(), time.monotonic()

    def now(self) -> float:
        return self._wall + time.monotonic() - self._began

    def jump(self) -> float:
        """Seconds by which the machine's clock is ahead of this one: what others' times are to be corrected by."""
        return time.time() - self.now()
