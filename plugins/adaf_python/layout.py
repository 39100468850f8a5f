"""The application's files as a release has them: modes and times that do not depend on the checkout.

Where there is a building account it is that one which runs this file, as a program: both folders are its own, and a link
that somebody put there would lead our root rights to any file of the machine. So nothing but the standard library.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

MTIME = 315_532_800  # 1980-01-01: equal inputs give equal artefacts


def lay_out(source: Path, target: Path, names: list[str]) -> None:
    """Copy these files of ``source`` into ``target``. OSError when one is not there, or is a link."""
    for name in names:
        copy = target / name
        copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        handle = os.open(source / name, os.O_RDONLY | os.O_NOFOLLOW)
        with open(handle, "rb") as body, open(copy, "xb") as made:
            shutil.copyfileobj(body, made)
            os.fchmod(made.fileno(), 0o755 if os.fstat(handle).st_mode & 0o100 else 0o644)
        os.utime(copy, (MTIME, MTIME))
    for directory, _, _ in os.walk(target, topdown=False):
        Path(directory).chmod(0o755)
        os.utime(directory, (MTIME, MTIME))


if __name__ == "__main__":
    files = os.fsdecode(sys.stdin.buffer.read()).split("\0")
    lay_out(Path(sys.argv[1]), Path(sys.argv[2]), files)
