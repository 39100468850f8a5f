"""What containers do right now: one list from the engine, then each is asked from the host."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from adaf_compose.entry import LABEL
from adaf_compose.networks import EDGE
from adaf_compose.peers import VOLUMES
from adaf_compose.program import ONCE, PROJECT, Program
from adaf_pipeline.host.probing import probe
from adaf_pipeline.roles import Observed
from adaf_pipeline.service import Probe

LOOP = 3  # a container that was restarted this often before it was ready will not get better by waiting


class Container:
    """A service's container, as the engine described it at one moment."""

    def __init__(self, seen: Any, state: Path) -> None:
        self.seen = seen  # the SDK's
        self.labels: Mapping[str, str] = seen.labels
        self.id = self.labels[f"{LABEL}service"]
        self.role = self.labels.get(f"{LABEL}role", "app")
        self._root = state

    @property
    def state(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.seen.attrs["State"]
        return found

    @property
    def running(self) -> bool:
        return self.state.get("Status") == "running"

    @property
    def restarts(self) -> int:
        return int(self.seen.attrs.get("RestartCount", 0))

    @property
    def rendered(self) -> str:
        return self.labels.get(f"{LABEL}rendered", "")

    @property
    def since(self) -> float:
        """Unix seconds of its last start; 0 = never."""
        return _unix(self.state.get("StartedAt", ""))

    @property
    def ended(self) -> float:
        """Unix seconds of its last end, also when it runs again; 0 = never."""
        return _unix(self.state.get("FinishedAt", ""))

    def address(self, network: str) -> str:
        """Its IP address on a network of the stack, or ""."""
        found = self.seen.attrs["NetworkSettings"]["Networks"]
        project = self.labels.get(PROJECT, "")
        return str(found.get(f"{project}_{network}", {}).get("IPAddress", ""))

    def asked(self) -> tuple[Probe, str] | None:
        """The probe that it was made with, from the host's side; None = it has none."""
        test = (self.seen.attrs["Config"].get("Healthcheck") or {}).get("Test") or []
        if len(test) < 5:
            return None
        where, seconds, path, host = (*test[3:], "", "")[:4]
        check = Probe("", path, timeout=float(seconds), host=host or "localhost")
        if where.startswith(VOLUMES):
            return check, f"{self._root}/volumes{where.removeprefix(VOLUMES)}"
        own = self.address(self.role) or self.address(EDGE)
        return check, f"{own}:{where.rpartition(':')[2]}"

    def answer(self) -> str:
        """ "" when it answers its probe, else why not."""
        found = self.asked()
        return probe(*found) if found else ""

    def observed(self) -> Observed:
        state, running = self.state, self.running
        code, wanted = state.get("ExitCode", 0), state.get("Status") == "restarting"
        if running:
            reason = self.answer()
            if reason and self.restarts:
                reason += f"; it ended {self.restarts} times since its start"
        elif wanted:
            reason = f"ended with exit code {code} {max(0, round(time.time() - self.ended))} s ago"
        else:
            reason = "stopped" if self.since else "was never started"
        return Observed(
            self.id,
            self.role,
            "up" if running else ("failed" if wanted else "down"),
            running and not reason,
            reason,
            int(state.get("Pid", 0)),
            self.since,
            self.labels.get(f"{LABEL}digest", ""),
            memory(int(state.get("Pid", 0))) if running else 0.0,
            self.restarts,
        )


def containers(program: Program, project: str, state: Path) -> Iterator[Container]:
    """Of the stack's services, running or not; what somebody else started in the project is not ours."""
    with program.asking():
        found = program.looking.containers.list(
            all=True, ignore_removed=True, filters={"label": [f"{PROJECT}={project}", f"{LABEL}service"]}
        )
    for seen in found:
        if seen.labels.get(ONCE, "False") != "True":
            yield Container(seen, state)


def memory(pid: int) -> float:
    """MB that the control group of a process holds, without the file cache that the kernel takes back."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _number, controllers, path = line.split(":", 2)
            for base, key, total in (
                ("/sys/fs/cgroup", "inactive_file", "memory.current"),
                ("/sys/fs/cgroup/memory", "total_inactive_file", "memory.usage_in_bytes"),
            ):
                place = Path(base + path)
                if controllers in ("", "memory") and (place / total).is_file():
                    rows = dict(row.split() for row in (place / "memory.stat").read_text().splitlines())
                    return round((int((place / total).read_text()) - int(rows[key])) / (1 << 20), 1)
    return 0.0


def _unix(text: str) -> float:
    """Seconds; 0 for the engine's "never"."""
    if not text or text.startswith("0001"):
        return 0.0
    return datetime.datetime.fromisoformat(text).timestamp()
