"""Another user of this machine, for as long as a test takes, and what one can see of what a user has."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from driving import HASTY, Outcome, Pipeline

from adaf_pipeline.process import Account, find_account, start_time

USERADD, USERDEL = (shutil.which(name, path="/usr/sbin:/sbin") for name in ("useradd", "userdel"))
MAIN = "from adaf_pipeline.tasks.program import main; main()"


class Person(Pipeline):
    """A checkout of the tiny application, whatever its path, and the commands of a user (None: of whoever tests)."""

    def __init__(self, folder: Path, account: Account | None) -> None:
        self.account = account
        super().__init__(folder)
        if account is not None:
            for place in (folder, *folder.rglob("*")):
                os.chown(place, account.uid, account.gid)

    def configure(self, extra: str = "", file: str = "adaf.yaml", deploy: str = HASTY) -> None:
        (self.folder / file).write_text("apps: {web: {use: python, path: app}}\n" + deploy + extra)

    def state(self) -> Path:
        """Asked once."""
        if not hasattr(self, "_state"):
            self._state = super().state()
        return self._state

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        who = self.account
        known = {"HOME": str(who.home), "PATH": "/usr/local/bin:/usr/bin:/bin"} if who else {**os.environ}
        return subprocess.Popen(
            [sys.executable, "-c", MAIN, *words],
            cwd=self.folder,
            env={**known, "NO_COLOR": "1", "COLUMNS": "300", **env},
            user=who.uid if who else None,
            group=who.gid if who else None,
            extra_groups=[] if who else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def throwaway() -> contextlib.AbstractContextManager[Account]:
    """A new user with a home that only it may enter; gone afterwards. Skips the test where there can be none."""
    if os.geteuid() != 0:
        pytest.skip("only root can make another user")
    if USERADD is None or USERDEL is None:
        pytest.skip("useradd is not installed")
    return _made(f"adaftest{os.getpid()}", USERADD, USERDEL)


@contextlib.contextmanager
def _made(name: str, useradd: str, userdel: str) -> Iterator[Account]:
    subprocess.run([useradd, "--create-home", name], check=True, capture_output=True)
    account = find_account(name)
    assert account is not None
    try:
        account.home.chmod(0o700)
        if not reached(account):
            pytest.skip(f"another user cannot run {sys.executable}")
        yield account
        assert processes(account) == []
    finally:
        for pid in running(account):  # a bare Debian has no pkill
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        subprocess.run([userdel, "--remove", name], check=True, capture_output=True)


def reached(account: Account) -> bool:
    """Whether that account can run what runs these tests."""
    words = [sys.executable, "-c", "import adaf_pipeline"]
    with contextlib.suppress(PermissionError):
        return subprocess.run(words, user=account.uid, group=account.gid, extra_groups=[], cwd="/").returncode == 0
    return False


def running(account: Account) -> list[int]:
    """Process ids of that account; whoever takes over its zombies may be slow."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.stat().st_uid == account.uid and start_time(int(process.name)):
                found.append(int(process.name))
    return found


def processes(account: Account) -> list[str]:
    """What runs as that account."""
    found = []
    for pid in running(account):
        with contextlib.suppress(OSError):
            found.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))
    return found


def everything(folder: Path) -> dict[str, tuple[int, int, int, int]]:
    """Each file below a folder: owner, mode, size and when it was changed."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        seen = path.lstat()
        found[str(path)] = (seen.st_uid, seen.st_mode, seen.st_size, seen.st_mtime_ns)
    return found


def refused(done: Outcome, code: int) -> str:
    """The message of a task that ended with two lines and this exit code."""
    assert done.code == code, f"exit {done.code}\n{done.stdout}\n{done.stderr}"
    lines = done.stderr.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["error", "hint"], done.stderr
    return done.stderr
