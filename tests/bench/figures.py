"""Where measured figures go."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Figures:
    """Prints one line a figure; ADAF_BENCH_OUT names a file that gets all of them as JSON."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._out = os.environ.get("ADAF_BENCH_OUT")

    def say(self, name: str, value: float, unit: str, how: str, samples: Sequence[float] | int = 1) -> None:
        """``samples``: all of them, or how many there were."""
        count = samples if isinstance(samples, int) else len(samples)
        load = round(os.getloadavg()[0], 1)
        shown = f"{value:,.3f}".rstrip("0").rstrip(".")
        print(
            f"\nfigure: {name} = {shown} {unit} ({how}; {count} sample{'s'[: count > 1]}, load {load})",
            end="",
            flush=True,
        )
        row = {"name": name, "value": round(value, 4), "unit": unit, "how": how, "samples": count, "load": load}
        if not isinstance(samples, int):
            row["all"] = [round(sample, 4) for sample in samples]
        self._rows.append(row)
        if self._out:
            machine = {"cores": os.cpu_count(), "python": platform.python_version(), "kernel": platform.release()}
            body = {"at": round(time.time()), "machine": machine, "figures": self._rows}
            Path(self._out).write_text(json.dumps(body, indent=1) + "\n")
