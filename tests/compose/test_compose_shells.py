"""`inv psql` and `inv redis` on a host that has neither client: theirs are used, in the containers."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator

import pytest
from engines import docker
from prod import Prod

from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.host.binaries import Binaries
from adaf_pipeline.stack import Stack


@pytest.fixture
def bare(prod: Prod, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    def missing(_self: object, binary: object) -> str:
        raise PreconditionError(f"{binary}: not found")

    monkeypatch.setattr(Binaries, "find", missing)
    with prod.opened() as stack:
        yield stack


def piped(words: tuple[str, ...], said: str) -> str:
    done = subprocess.run(words, input=said, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def typed(words: tuple[str, ...], *lines: tuple[str, str]) -> None:
    """Type each line once the text before it was shown, and read until the program ends."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))  # without a size psql takes its pager
    child = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    seen, deadline = "", time.monotonic() + 30
    try:
        for shown, line in lines:
            while shown not in seen:
                assert time.monotonic() < deadline, f"waited for {shown!r}: {seen!r}"
                if select.select([ours], [], [], 0.5)[0]:
                    seen += os.read(ours, 4096).decode(errors="replace")
            seen = ""
            os.write(ours, line.encode() + b"\r")
        while child.poll() is None:
            assert time.monotonic() < deadline
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    os.read(ours, 4096)
                except OSError:  # EIO: it has ended
                    break
        assert child.wait(10) == 0
    finally:
        child.kill()
        child.wait()
        os.close(ours)


@pytest.mark.parametrize("admin", [False, True])
def test_a_statement_through_a_pipe_is_the_applications_or_the_superusers(bare: Stack, admin: bool) -> None:
    words, environment = bare.database.shell(admin=admin)
    assert environment == {} and words[0].endswith("/docker")
    said = piped(words, "select 'is ' || current_user;\n")
    assert ("is app" in said) is not admin


def test_a_shell_of_the_cache_through_a_pipe(bare: Stack) -> None:
    words, environment = bare.cache.shell()
    assert environment == {}
    assert piped(words, "ACL WHOAMI\n").strip().endswith("admin")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setattr("adaf_compose.program.os.isatty", lambda _handle: True)


def test_shells_in_a_terminal(bare: Stack, prod: Prod, terminal: Callable[[], None]) -> None:
    terminal()
    typed(bare.database.shell()[0], ("=> ", "select 'is ' || current_user;"), ("is app", "\\q"))
    typed(bare.cache.shell()[0], ("> ", "ACL WHOAMI"), ("admin", "exit"))
    left = docker("exec", f"{prod.name}-database-1-1", "ls", "/tmp")
    assert "pgpass" not in left


def test_no_secret_is_in_an_argument_or_an_environment(bare: Stack, terminal: Callable[[], None]) -> None:
    values = {bare.secrets.value(name) for name in bare.secrets.names()}
    for words, _ in (bare.database.shell(), bare.database.shell(admin=True), bare.cache.shell()):
        assert not [value for value in values for word in words if value in word]
