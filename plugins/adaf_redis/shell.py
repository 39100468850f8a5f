"""Starts redis-cli: ``python shell.py PASSWORD_FILE REDIS_CLI [ARG...]``.

redis-cli takes a password from its argv or environment, where every process of the account could read it, or it asks
(--askpass). So we answer: through the pipe, or by typing in a terminal that we put between. Run by path, with nothing
but the standard library.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import tty
from pathlib import Path

PROMPT = b"password: "
KEYBOARD, SCREEN = 0, 1


def main(secret: str, cli: str, *rest: str) -> int:
    """The exit code of redis-cli."""
    answer = Path(secret).read_text().strip().encode()
    talk = in_terminal if os.isatty(KEYBOARD) else through_pipe
    return talk([cli, *rest, "--askpass"], answer)


def through_pipe(argv: list[str], answer: bytes) -> int:
    with subprocess.Popen(argv, stdin=subprocess.PIPE, bufsize=0) as child:
        assert child.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(answer + b"\n")
            while data := os.read(KEYBOARD, 65536):
                child.stdin.write(data)
    return child.returncode


def in_terminal(argv: list[str], answer: bytes) -> int:
    size = window(KEYBOARD)
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(KEYBOARD, termios.TIOCSWINSZ, size)  # its keyboard is the new terminal
        os.execv(argv[0], argv)
    before = termios.tcgetattr(KEYBOARD)
    try:
        tty.setraw(KEYBOARD, termios.TCSADRAIN)  # keeps what was typed ahead
        until(terminal, PROMPT)
        os.write(terminal, answer + b"\r")
        os.write(SCREEN, until(terminal, b"\n"))  # what was shown so far is the question and a row of asterisks
        signal.signal(signal.SIGWINCH, lambda *_: fcntl.ioctl(terminal, termios.TIOCSWINSZ, window(KEYBOARD)))
        while True:
            ready = select.select([KEYBOARD, terminal], [], [])[0]
            if terminal in ready:
                if not (shown := read(terminal)):
                    break
                os.write(SCREEN, shown)
            if KEYBOARD in ready:
                os.write(terminal, os.read(KEYBOARD, 4096) or b"\x04")  # the end of input is Ctrl-D
    finally:
        termios.tcsetattr(KEYBOARD, termios.TCSADRAIN, before)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def until(terminal: int, mark: bytes) -> bytes:
    """What follows the mark, or everything when the program ends without it."""
    seen = b""
    while mark not in seen and (shown := read(terminal)):
        seen += shown
    return seen.partition(mark)[2] if mark in seen else seen


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # EIO: nobody is left on the other side
        return b""


def window(terminal: int) -> bytes:
    """Its size; 80 x 24 when it does not know."""
    size = fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(8))
    return size if any(size) else struct.pack("HHHH", 24, 80, 0, 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
