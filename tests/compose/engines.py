"""The engines that these tests run on: the machine's if one answers, else one of our own; and a second one, for kills."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from private_engine.engine import Engine

ROOT = Path(__file__).parents[2]
PLACES = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "adaf" / "compose"
CLONE_NEWNET = 0x40000000


def docker(*words: str, seconds: float = 120, given: bytes | None = None) -> str:
    """What the client printed, of the engine that this process's environment names. AssertionError when it failed."""
    done = subprocess.run(["docker", *words], capture_output=True, timeout=seconds, input=given)
    assert done.returncode == 0, f"docker {' '.join(words)}: {done.stderr.decode()}"
    return done.stdout.decode().strip()


def answers() -> bool:
    """Whether an engine answers where DOCKER_HOST says, or at its usual place."""
    with contextlib.suppress(OSError, AssertionError, subprocess.TimeoutExpired):
        docker("info", seconds=10)
        return True
    return False


def own(place: Path, *, apart: bool) -> Engine:
    """`ci/engine start`, in this process's terminal. Raises AssertionError with what it said."""
    flags = ["--netns"] if apart else []
    done = subprocess.run(
        [ROOT / "ci" / "engine", "start", place, *flags], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout.decode()
    return Engine(place)


@contextlib.contextmanager
def reached(engine: Engine) -> Iterator[Mapping[str, str]]:
    """Everything that this process starts meanwhile uses that engine."""
    with mock.patch.dict(os.environ, engine.shell):
        yield engine.shell


@contextlib.contextmanager
def within(netns: Path) -> Iterator[None]:
    """This thread, and what it starts, in that network namespace: there are the published ports and the containers."""
    with open("/proc/thread-self/ns/net") as home, netns.open() as there:
        enter(there.fileno())
        try:
            yield
        finally:
            enter(home.fileno())


def enter(handle: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns: Python 3.12
    if libc.setns(handle, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def images(base: str) -> list[str]:
    """Make what is not there yet: a base by `ci/base`, and on it the plugin's images. Their tags, the base among them."""
    if not docker("image", "ls", "-q", base):
        done = subprocess.run([ROOT / "ci" / "base", "bookworm", base], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return [base]


def carry(images: list[str], to: Engine) -> None:
    """Copy images from the engine that this process uses to another one, which reaches no registry."""
    with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as source:
        load = subprocess.run(["docker", "load", "-q"], stdin=source.stdout, env=to.env, capture_output=True, text=True)
    assert source.returncode == load.returncode == 0, load.stderr


@dataclass(frozen=True)
class There:
    """What is on an engine, by name, and what it has on the machine."""

    containers: frozenset[str]
    networks: frozenset[str]
    volumes: frozenset[str]
    mounts: frozenset[str]

    @classmethod
    def now(cls) -> There:
        points = frozenset(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
        return cls(
            frozenset(docker("container", "ls", "-a", "--format", "{{.Names}}").split()),
            frozenset(docker("network", "ls", "--format", "{{.Name}}").split()),
            frozenset(docker("volume", "ls", "-q").split()),
            points,
        )

    def more_than(self, other: There) -> list[str]:
        """What is here and was not there."""
        return [
            f"{kind[:-1]} {name}" for kind in vars(self) for name in sorted(getattr(self, kind) - getattr(other, kind))
        ]


def settled(before: There, seconds: float = 10) -> list[str]:
    """What there is more than before, when the engine has had time to let go of it."""
    deadline = time.monotonic() + seconds
    while (more := There.now().more_than(before)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return more


def say(words: str) -> None:
    print(f"\ncompose: {words}", file=sys.stderr, flush=True)
