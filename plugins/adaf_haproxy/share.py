"""The share as a file that survives HAProxy: a second configuration file which sets the process variable."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from adaf_pipeline.errors import PreconditionError, ServiceError
from adaf_pipeline.roles import whole_share

BUCKETS = 10_000
NOTHING_LIVE = -1
FILE = "share.cfg"


def threshold(share: Mapping[str, float]) -> int:
    """Buckets below it go to green; {} takes everything off. ValueError for a share that is none."""
    if not share:
        return NOTHING_LIVE
    whole = whole_share(share)
    return round(whole["green"] * BUCKETS / 100)


def share_of(green: int) -> Mapping[str, float]:
    """The share that a threshold means; {} when nothing is live."""
    if green == NOTHING_LIVE:
        return {}
    return {"blue": (BUCKETS - green) * 100 / BUCKETS, "green": green * 100 / BUCKETS}


def statement(green: int) -> str:
    """The file's body."""
    return f"global\n    set-var proc.green int({green})\n"


def read(file: Path) -> int:
    """The persisted threshold; NOTHING_LIVE when the balancer was never started."""
    try:
        body = file.read_text()
    except FileNotFoundError:
        return NOTHING_LIVE
    found = re.search(r"^\s*set-var proc\.green int\((-?\d+)\)\s*$", body, re.MULTILINE)
    if not found or not NOTHING_LIVE <= int(found[1]) <= BUCKETS:
        raise ServiceError(f"{file}: holds no share", "write it anew: `inv rollback` or `inv deploy`")
    return int(found[1])


def write(file: Path, green: int) -> None:
    """Replace the file as a whole, on disk before we return; it stays the property of the volume's owner."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    except FileNotFoundError as exc:
        raise PreconditionError("the balancer was never started: it has no place for the share", "inv up") from exc
    try:
        with os.fdopen(handle, "w") as body:
            body.write(statement(green))
            body.flush()
            os.fchmod(body.fileno(), 0o644)
            if os.geteuid() == 0:
                owner = file.parent.stat()
                os.fchown(body.fileno(), owner.st_uid, owner.st_gid)
            os.fsync(body.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # the rename itself
    finally:
        os.close(directory)
