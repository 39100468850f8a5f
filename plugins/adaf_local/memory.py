"""What a service's processes hold in memory."""

from __future__ import annotations

import contextlib
from pathlib import Path


def of_session(leader: int) -> float:
    """Proportional set size in MB of all processes in a session (s6 gives every service one of its own)."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if int((process / "stat").read_text().rpartition(")")[2].split()[3]) == leader:
                for line in (process / "smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
    return round(total / 1024, 1)
