"""The only place that starts programs. argv lists, never shell strings."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from adaf_pipeline.errors import PreconditionError, ProcessError

TAIL = 15  # lines of a failed program's output that a person is shown


@dataclass(frozen=True, slots=True)
class Account:
    """A system account, numeric, so that no lookup happens between fork and exec."""

    name: str
    uid: int
    gid: int
    home: Path


@dataclass(frozen=True, slots=True)
class Completed:
    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str


def find_account(name: str) -> Account | None:
    """The account of that name, or None."""
    try:
        record = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(record.pw_name, record.pw_uid, record.pw_gid, Path(record.pw_dir))


def base_environment(account: Account | None) -> dict[str, str]:
    """The few variables programs may inherit: nothing of a caller's secrets leaks into what we start."""
    keep = ("PATH", "LANG", "LC_ALL", "TZ", "TERM", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS")
    found = {name: os.environ[name] for name in keep if name in os.environ}
    found.setdefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    found["HOME"] = str(account.home) if account else os.environ.get("HOME", "/")
    return found


def spawn(
    argv: Sequence[str],
    *,
    account: Account | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | str = "/",
    stdin: int | IO[bytes] | None = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = subprocess.PIPE,
    stderr: int | IO[bytes] | None = subprocess.PIPE,
    session: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a program as ``account``; PreconditionError when it is not there."""
    identity: dict[str, int | list[int]] = {}
    if account and os.geteuid() == 0:
        identity = {"user": account.uid, "group": account.gid, "extra_groups": []}
    try:
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            list(argv),
            env={**base_environment(account), **(env or {})},
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=session,
            umask=0o022,
            **identity,
        )
    except FileNotFoundError as exc:
        raise PreconditionError(
            f"{argv[0]}: program not found", "./ci/env installs what is missing; `inv doctor` lists it"
        ) from exc
    except PermissionError as exc:
        who = account.name if account else "this user"
        raise PreconditionError(
            f"{argv[0]}: {who} may not run it ({exc.strerror})", "keep programs outside private home directories"
        ) from exc
    except OSError as exc:  # not a program, or not one of this machine
        raise PreconditionError(f"{argv[0]}: cannot be started: {exc.strerror}", f"file {argv[0]}") from exc


def run(
    argv: Sequence[str],
    *,
    account: Account | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | str = "/",
    timeout: float = 60.0,
    stdin: bytes = b"",
    check: bool = True,
) -> Completed:
    """Run a program to its end and return what it printed; ProcessError on an exit code or a timeout.

    In a session of its own: a Ctrl-C in the terminal is ours to handle, and never breaks an undo's programs.
    """
    with spawn(argv, account=account, env=env, cwd=cwd, stdin=subprocess.PIPE, session=True) as child:
        try:
            out, err = child.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired as exc:
            _kill_group(child)
            child.communicate()
            raise ProcessError(
                f"{_name(argv)} did not end within {timeout:g} s", "try it by hand and look what it waits for"
            ) from exc
        except BaseException:
            _kill_group(child)
            raise
    done = Completed(tuple(argv), child.returncode, out.decode(errors="replace"), err.decode(errors="replace"))
    if check and done.code != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        last = lines[-1] if lines else "it printed nothing"
        hint = "what it said last stands above; by hand it says the same"
        raise ProcessError(f"{_name(argv)} exited {done.code}: {last}", hint, detail=lines[-TAIL:])
    return done


def stream(
    argv: Sequence[str],
    log: Path,
    *,
    line: Callable[[str], None] = lambda _line: None,
    account: Account | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | str = "/",
    timeout: float = 1800.0,
    hint: str = "",
) -> None:
    """Run a long program, append all it prints to ``log`` and pass on each line; ProcessError with the last lines.

    It gets a session of its own, so that a Ctrl-C in the terminal reaches us first and we end its whole group.
    """
    tail: deque[str] = deque(maxlen=TAIL)
    late = threading.Event()

    def too_late() -> None:
        late.set()
        _end_group(child)

    with open(log, "ab") as sink:
        child = spawn(argv, account=account, env=env, cwd=cwd, stderr=subprocess.STDOUT, session=True)
        assert child.stdout is not None
        timer = threading.Timer(timeout, too_late)  # also ends a program that hangs without printing anything
        timer.daemon = True
        timer.start()
        try:
            for raw in child.stdout:
                sink.write(raw)
                said = raw.decode(errors="replace").rstrip()
                tail.append(said)
                line(said)
            code = child.wait()
        finally:
            timer.cancel()
            _end_group(child)
            child.stdout.close()
    if late.is_set():
        raise ProcessError(f"{_name(argv)} did not end within {timeout:g} s", hint, detail=tail)
    if code != 0:
        raise ProcessError(f"{_name(argv)} exited {code}", hint or f"the whole output: {log}", detail=tail)


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    """With its children: one that lives on would hold the pipes open, and us with them."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """End what is left of a session: children of a killed build tool go on otherwise."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGTERM)
    if child.poll() is None:
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _name(argv: Sequence[str]) -> str:
    return " ".join([Path(argv[0]).name, *argv[1:3]])


def start_time(pid: int) -> int:
    """Clock ticks after boot at which the process began (proc(5), stat field 22); 0 when there is none, or a zombie.

    pid and start time together name a process for good: pids are used again.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return 0
    return 0 if state in "ZX" else int(fields[18])


def interactive(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run a program on the user's own terminal and return its exit code; Ctrl-C is the program's."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child = subprocess.Popen(
            list(argv), env={**os.environ, **env}, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
        )
        return child.wait()
    except FileNotFoundError as exc:
        raise PreconditionError(f"{argv[0]}: program not found", "./ci/env installs what is missing") from exc
    finally:
        signal.signal(signal.SIGINT, before)
