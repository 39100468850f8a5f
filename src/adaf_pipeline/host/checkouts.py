"""Which stack is a checkout's: the one that is named after its path, or, after `mv`, the one it had before.

A stack's directory notes the path (``checkout``) and the folder itself (``checkout.id``: device, inode, time of birth, which
outlive `mv` within a file system and no two folders share). A folder that is made anew at the same path, as CI does, is the
same checkout. Without a time of birth (an old file system) nothing is found again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.process import run

PATH, ID = "checkout", "checkout.id"


def folder_id(folder: Path) -> str:
    """``device:inode:birth``, or "" where the file system knows no birth (or there is no such folder)."""
    done = run(["/usr/bin/stat", "--format=%d:%i:%w", str(folder)], check=False)
    found = done.stdout.strip()
    return "" if done.code != 0 or found.endswith(":-") else found


def note(state: Path, checkout: Path, write: Callable[[Path, str], object]) -> None:
    """Write down whose stack it is."""
    write(state / PATH, f"{_text(checkout)}\n")
    write(state / ID, folder_id(checkout))


def find(mine: Path, checkout: Path, used: Callable[[Path], bool]) -> tuple[Path, bool]:
    """The stack's directory (``mine``: by the checkout's path), and whether ``note`` has news for it.

    PreconditionError when the stack of this path went elsewhere with the folder that was here before.
    """
    seen = checkout.stat()
    here = f"{seen.st_dev}:{seen.st_ino}:"
    path, identity = _noted(mine)
    if path == _text(checkout) and identity.startswith(here):
        return mine, False
    others = [] if not mine.parent.is_dir() else [s for s in mine.parent.glob("local-*") if s != mine and used(s)]
    for state in others:
        path, identity = _noted(state)
        if identity.startswith(here) and identity == folder_id(checkout):
            known = path == _text(checkout)  # found before
            if known or folder_id(Path(path)) != identity:  # or the folder is at two places, by a mount
                return state, not known
    path, identity = _noted(mine)
    if used(mine) and identity and path != _text(checkout) and folder_id(Path(path)) == identity:
        raise PreconditionError(
            f"the stack of this path belongs to the checkout that was moved from here to {path} ({mine})",
            "use a folder of another name, or run `inv down --purge` there first",
        )
    return mine, mine.exists()


def _noted(state: Path) -> tuple[str, str]:
    try:
        path = (state / PATH).read_text().rstrip("\n")
    except FileNotFoundError:
        return "", ""
    try:
        return path, (state / ID).read_text()
    except FileNotFoundError:
        return path, ""


def _text(path: Path) -> str:
    return os.fsencode(path).decode(errors="replace")
