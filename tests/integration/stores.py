"""What the tests of the database and the cache servers share."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from driving import until

from adaf_pipeline.process import spawn, start_time
from adaf_pipeline.stack import Stack


def pid(stack: Stack, identity: str) -> int:
    return stack.runtime.observe()[identity].pid


def volume(stack: Stack, identity: str) -> Path:
    return stack.state / "volumes" / identity / "data"


def logged(stack: Stack, identity: str, words: str) -> None:
    """Wait for words in a service's log: its logger may be a moment behind."""
    until(lambda: words in "\n".join(stack.runtime.logs(identity, 1000)), what=f"{identity} to log {words!r}")


def restarted(stack: Stack, identity: str, before: int) -> None:
    """Wait until the supervisor runs another process and the old one is gone."""
    until(lambda: pid(stack, identity) not in (0, before), what=f"another {identity}")
    until(lambda: start_time(before) == 0, what=f"the old {identity} to end")


def lose_supervisor(stack: Stack, identity: str) -> None:
    """kill -9 of an s6-supervise, and its record of the process is lost too: only the gate can tell what is left."""
    process = pid(stack, identity)
    (stack.state / "pids" / identity).unlink()
    parent = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    assert (Path(f"/proc/{parent}/comm").read_text()).startswith("s6-supervise")
    os.kill(parent, signal.SIGKILL)
    restarted(stack, identity, process)


# ---------------------------------------------------------------------------------------------------- secrets


def secrets(stack: Stack) -> set[bytes]:
    """Every value there is."""
    return {stack.secrets.value(name).encode() for name in stack.secrets.names()}


@contextlib.contextmanager
def watching(values: set[bytes], seen: set[str]) -> Iterator[None]:
    """Puts every process that shows a value in its argv or environment, however shortly, into ``seen``."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            for place in [*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")]:
                seen.update(_shows(place, values))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def leaks(stack: Stack, values: set[bytes]) -> list[str]:
    """Every file of the stack that holds a value, the secrets themselves excepted."""
    files = [path for path in stack.state.rglob("*") if path.is_file() and stack.state / "secrets" not in path.parents]
    return [place for path in files for place in _shows(path, values)]


def _shows(place: Path, values: set[bytes]) -> list[str]:
    with contextlib.suppress(OSError):
        body = place.read_bytes()
        return [str(place) for value in values if value in body]
    return []


@contextlib.contextmanager
def terminal(words: tuple[str, ...]) -> Iterator[Callable[[str, str], None]]:
    """An interactive program in a terminal: ``say(line, expected)``. Lines are echoed: expect something else."""
    ours, theirs = pty.openpty()
    child = spawn(words, stdin=theirs, stdout=theirs, stderr=theirs, session=True, env={"TERM": "xterm"})
    os.close(theirs)
    os.set_blocking(ours, False)

    def say(line: str, expected: str) -> None:
        shown = b""

        def there() -> bool:
            nonlocal shown
            with contextlib.suppress(OSError):
                shown += os.read(ours, 65536)
            return expected.encode() in shown

        if line:
            os.write(ours, line.encode() + b"\r")
        try:
            until(there)
        except AssertionError:
            raise AssertionError(shown) from None

    try:
        yield say
    finally:
        os.close(ours)
        os.killpg(child.pid, signal.SIGKILL)  # psql's pager too
        child.wait()
