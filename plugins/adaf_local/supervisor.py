"""s6 (skarnet.org/software/s6): one s6-supervise a service, measured to survive the death of the scanner.

Every call runs as the account that owns what s6 writes (``supervise``, ``event``): s6 as root over somebody else's tree
acts, but its timed waits and its readiness checks refuse. The directories around them, and the scripts, stay root's: a
service can neither change what is started next, nor lead root astray by a link. s6-svc's ``-T`` is in milliseconds; it
exits 99 when the time is over.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from adaf_pipeline.errors import PreconditionError, ServiceError
from adaf_pipeline.host import places
from adaf_pipeline.process import Account, base_environment, run, spawn, start_time


@dataclass(frozen=True, slots=True)
class Status:
    """``up``, with pid, or the exit code and signal of the last end; ``age`` in seconds; ``wanted``: meant to be up."""

    up: bool
    pid: int = 0
    code: int = 0
    signal: str = ""
    age: int = 0
    wanted: bool = False


class Supervisor:
    """The scan directory of one stack."""

    def __init__(self, state: Path, account: Account | None) -> None:
        self.state = state
        self.scan = state / "s6"
        self.account = account

    # ------------------------------------------------------------------------------------------ the scanner

    def running(self) -> bool:
        """Whether s6-svscan reads this directory."""
        return self._pid() != 0

    def _pid(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            pid, since = (self.state / "s6.pid").read_text().split()
            if start_time(int(pid)) == int(since):
                return int(pid)
        return 0

    def ensure(self) -> None:
        """Start the scanner when there is none. A service starts only when told, in order: each has a ``down`` file."""
        if self.running():
            return
        places.make(self.scan, None, 0o750)  # scripts hold what adaf.yaml puts into an environment
        if self.account:
            os.chown(self.scan, 0, self.account.gid)
        places.make(self.scan / ".s6-svscan", self.account, 0o700)
        for down in self.names():
            (self.scan / down / "down").touch()
        log = self.state / "s6.log"
        with open(log, "ab") as sink:
            child = spawn(
                ["s6-svscan", str(self.scan)], account=self.account, stdout=sink, stderr=subprocess.STDOUT, session=True
            )
        places.write(self.state / "s6.pid", f"{child.pid} {start_time(child.pid)}", mode=0o644)
        self._until(lambda: (self.scan / ".s6-svscan" / "control").exists() or child.poll() is not None, 5)
        if child.poll() is not None:
            tail = log.read_text(errors="replace").splitlines()[-5:]
            raise ServiceError("s6-svscan ended at once", f"its log: {log}", detail=tail)
        _children.append(child)

    def end(self) -> None:
        """Stop supervision itself: services first, then their supervisors, then the scanner."""
        for name in self.names():
            self.remove(name, 10)
        pid = self._pid()
        if pid:
            run(["s6-svscanctl", "-t", str(self.scan)], account=self.account, check=False)
            if not self._until(lambda: not self.running(), 10):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for child in [c for c in _children if c.pid == pid]:
            child.wait(5)
            _children.remove(child)
        (self.state / "s6.pid").unlink(missing_ok=True)

    # ------------------------------------------------------------------------------------------- a service

    def names(self) -> list[str]:
        """Every service that has a directory here."""
        if not self.scan.is_dir():
            return []
        return sorted(p.name for p in self.scan.iterdir() if not p.name.startswith(".") and (p / "run").exists())

    def define(self, name: str, files: dict[str, str]) -> None:
        """Write a service's directory (relative path to text; scripts are made executable)."""
        home = self.scan / name
        fresh = not home.exists()
        target = self.scan / f".new-{name}" if fresh else home
        if fresh:
            places.remove(target)
        for relative, body in files.items():
            place = target / relative
            places.make(place.parent, None)
            places.write(place, body, None, 0o755 if place.name in {"run", "finish"} else 0o644)
        if fresh:
            for own in ("supervise", "event", "log/supervise", "log/event"):
                places.make(target / own, self.account, 0o700)
            places.write(target / "down", "")
            target.rename(home)
        run(["s6-svscanctl", "-a", str(self.scan)], account=self.account)
        fifo = home / "supervise" / "control"
        if not self._until(lambda: fifo.exists() and self.supervised(home), 5):
            raise ServiceError(
                f"{name}: no supervisor took it within 5 s", f"the supervisor's log: {self.state / 's6.log'}"
            )

    def supervised(self, home: Path) -> bool:
        """Whether an s6-supervise lives in this directory."""
        return run(["s6-svok", str(home)], account=self.account, check=False).code == 0

    def up(self, name: str) -> None:
        """Start it; without a ``down`` file a new supervisor starts it as well."""
        run(["s6-svdt-clear", str(self.scan / name)], account=self.account, check=False)
        (self.scan / name / "down").unlink(missing_ok=True)
        # on a busy machine a supervisor was seen to answer s6-svok and, just after, not to listen
        told = ["s6-svc", "-u", str(self.scan / name)]
        if not self._until(lambda: run(told, account=self.account, check=False).code == 0, 5):
            run(told, account=self.account)  # says why

    def down(self, name: str, grace: float) -> None:
        """Stop it by its own stop signal; after ``grace`` seconds s6 kills it. A killed supervisor is waited for."""
        home = self.scan / name
        places.write(home / "down", "")
        if not self._until(lambda: self.supervised(home), 3):
            return  # nothing supervises it: the scanner is gone; ``sweep`` ends what is left
        limit = int(grace * 1000) + 3000
        run(["s6-svc", "-wD", "-d", "-T", str(limit), str(home)], account=self.account, timeout=grace + 10, check=False)
        if self.status(name).up:
            run(["s6-svc", "-wD", "-dk", "-T", "5000", str(home)], account=self.account, timeout=15, check=False)

    def remove(self, name: str, grace: float) -> None:
        """Stop it, and forget it."""
        home = self.scan / name
        if not home.exists():
            return
        self.down(name, grace)
        self.sweep(name)
        for part in (home, home / "log"):
            run(["s6-svc", "-xd", str(part)], account=self.account, check=False)
        gone = self.scan / f".gone-{name}-{time.monotonic_ns()}"
        home.rename(gone)
        if self.running():
            run(["s6-svscanctl", "-an", str(self.scan)], account=self.account, check=False)
        self._until(lambda: not self.supervised(gone) and not self.supervised(gone / "log"), 3)
        places.remove(gone)

    def sweep(self, name: str) -> None:
        """End the process that the service's pid record still names (its supervisor and its gate are both gone)."""
        with contextlib.suppress(OSError, ValueError):
            pid, since = map(int, self.pid_file(name).read_text().split())
            owner = self.account.uid if self.account else os.geteuid()
            if start_time(pid) == since and Path(f"/proc/{pid}").stat().st_uid == owner:  # the account wrote the record
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                self._until(lambda: start_time(pid) != since, 5)

    def pid_file(self, name: str) -> Path:
        return self.state / "pids" / name

    def deaths(self, name: str) -> list[str]:
        """How it ended since ``up``, each time, oldest first: ``exit code 3``, ``signal SIGKILL``; at most the last 100."""
        done = run(["s6-svdt", str(self.scan / name)], account=self.account, check=False)
        return [line.partition(" ")[2].replace("exitcode", "exit code") for line in done.stdout.splitlines()]

    def status(self, name: str) -> Status:
        """What s6 knows; a service that nobody supervises is down, unless its process is still there."""
        home = self.scan / name
        done = run(
            ["s6-svstat", "-o", "up,pid,exitcode,signal,updownfor,wantedup", str(home)],
            account=self.account,
            check=False,
        )
        if done.code != 0:
            return Status(False)
        up, pid, code, ended_by, age, wanted = done.stdout.split()
        return Status(
            up == "true", max(0, int(pid)), int(code), "" if ended_by == "NA" else ended_by, int(age), wanted == "true"
        )

    @staticmethod
    def _until(predicate: object, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while True:
            if predicate():  # type: ignore[operator]
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)


_children: list[subprocess.Popen[bytes]] = []  # kept, so that an ended scanner is reaped and not warned about


def check_installed() -> None:
    """PreconditionError when s6 is not where ``run`` would find it."""
    for program in ("s6-svscan", "s6-supervise", "s6-svc", "s6-log"):
        if shutil.which(program, path=base_environment(None)["PATH"]) is None:
            raise PreconditionError(f"{program}: not found", "apt-get install s6, or run ./ci/env true")
