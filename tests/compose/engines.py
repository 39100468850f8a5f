"""The engines that these tests run on: the machine's if one answers, else one of our own; and a second one, for kills."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest import mock

from private_engine.engine import Engine

ROOT = Path(__file__).parents[2]
PLACES = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "adaf" / "compose"
CLONE_NEWNET = 0x40000000
OURS = "proof-"  # in the name of each stack of the tests


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


def own(place: Path, *, apart: bool, anew: bool = False) -> Engine:
    """`ci/engine start`; with the programs of another engine of these tests, unless ``anew``.

    Raises AssertionError with what it said.
    """
    unpacked = next((found.parent for found in PLACES.glob("*/unpacked") if found.parent != place), None)
    if unpacked and not anew and not (place / "unpacked").exists():
        place.mkdir(parents=True, exist_ok=True)
        (place / "root").symlink_to((unpacked / "root").resolve())
        (place / "unpacked").touch()
    words = [str(ROOT / "ci" / "engine"), "start", str(place), *(["--netns"] if apart else [])]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
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


def base(tag: str) -> None:
    """Make the Debian that its tag names, if it is not there: by `ci/base`, from packages, without a registry."""
    if not docker("image", "ls", "-q", tag):
        if shutil.which("mmdebstrap") is None:
            words = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "mmdebstrap"]
            subprocess.run(words, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, capture_output=True)
        done = subprocess.run([ROOT / "ci" / "base", tag.rpartition(":")[2], tag], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def carry(images: list[str], to: Engine) -> None:
    """Copy images from the engine that this process uses to another one, which reaches no registry."""
    with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as source:
        load = subprocess.run(["docker", "load", "-q"], stdin=source.stdout, env=to.env, capture_output=True, text=True)
    assert source.returncode == load.returncode == 0, load.stderr


def left(seconds: float = 10) -> list[str]:
    """What is there of the tests' stacks, when the engine has had time to let go of it. Others may use the engine too."""
    deadline = time.monotonic() + seconds
    kinds = {
        "container": ("container", "ls", "-a", "--format", "{{.Names}}"),
        "network": ("network", "ls", "--format", "{{.Name}}"),
        "volume": ("volume", "ls", "-q"),
        "image": ("image", "ls", "--format", "{{.Repository}}:{{.Tag}}"),
    }
    while True:
        found = [f"{kind} {name}" for kind, words in kinds.items() for name in docker(*words).split() if OURS in name]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def say(words: str) -> None:
    print(f"\ncompose: {words}", file=sys.stderr, flush=True)
