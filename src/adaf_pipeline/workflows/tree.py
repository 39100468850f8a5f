"""Directory trees as content: hashed, copied, handed over, discarded."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.process import Account, run

GONE = ".gone-"  # how a tree is called while it is being deleted


def digest(root: Path, files: Iterable[str], context: Mapping[str, str] | None = None) -> str:
    """sha256 (hex) over sorted names, executable bits, link targets and contents; and over ``context``."""
    total = hashlib.sha256(json.dumps(dict(context or {}), sort_keys=True).encode())
    for name in sorted(files):
        path = root / name
        status = path.lstat()
        if path.is_symlink():
            kind, content = "link", os.readlink(path).encode()  # noqa: PTH115  as bytes of the link, not a Path
        else:
            kind = "program" if status.st_mode & 0o111 else "file"
            with open(path, "rb") as body:
                content = hashlib.file_digest(body, "sha256").digest()
        total.update(f"{kind}\0{name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()


def files(root: Path) -> list[str]:
    """Every file and link below ``root``, relative, sorted."""
    found = []
    for folder, folders, names in os.walk(root):
        base = Path(folder)
        links = [name for name in folders if (base / name).is_symlink()]
        found += [(base / name).relative_to(root).as_posix() for name in (*names, *links)]
    return sorted(found)


def mirror(source: Path, names: Iterable[str], target: Path) -> None:
    """Make ``target`` hold exactly these files of ``source``; what is the same is not written again."""
    wanted = set(names)
    target.mkdir(parents=True, exist_ok=True)
    for name in set(files(target)) - wanted:
        (target / name).unlink()
    for name in sorted(wanted):
        origin, copy = source / name, target / name
        try:
            before, after = origin.lstat(), copy.lstat()
            if (before.st_mtime_ns, before.st_size, before.st_mode) == (
                after.st_mtime_ns,
                after.st_size,
                after.st_mode,
            ):
                continue
        except FileNotFoundError:
            pass
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.unlink(missing_ok=True)
        try:
            shutil.copy2(origin, copy, follow_symlinks=False)
        except OSError as exc:
            raise PreconditionError(
                f"{origin}: cannot be read: {exc.strerror}", "every input must be readable"
            ) from exc


def work_copy(inputs: Path, work: Path, account: Account | None) -> None:
    """Bring a builder's own copy in step with ``inputs``, as the building account.

    We never write into a folder that the account controls: a link planted there by a build script would lead our root
    rights astray. What the tools made themselves (node_modules, caches) stays.
    """
    listing = work / ".adaf-inputs"
    now = files(inputs)
    before: list[str] = []
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if not listing.is_symlink():
            before = listing.read_text().splitlines()
    gone = [name for name in before if name not in set(now) and ".." not in Path(name).parts and name[:1] != "/"]
    if account is None:
        for name in gone:
            (work / name).unlink(missing_ok=True)
        shutil.copytree(inputs, work, symlinks=True, dirs_exist_ok=True)
        listing.write_text("\n".join(now))
        return
    if gone:
        run(["rm", "-f", "--", *gone], account=account, cwd=work)
    run(["cp", "-RP", "--preserve=mode,timestamps", f"{inputs}/.", f"{work}/"], account=account, timeout=600)
    run(["tee", str(listing)], account=account, stdin="\n".join(now).encode())


def take_over(root: Path) -> None:
    """Make a built tree ours and read-only for everybody else: no set-uid bits, no group or world writing.

    By open handles: what a left-over of the build swaps for a link meanwhile is not followed.
    """
    for folder, folders, names in os.walk(root):
        for path in (Path(folder), *(Path(folder) / n for n in (*folders, *names))):
            if os.geteuid() == 0:
                os.chown(path, 0, 0, follow_symlinks=False)
            if path.is_symlink():
                continue
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                status = os.fstat(handle)
                directory = stat.S_ISDIR(status.st_mode)
                if status.st_nlink > 1 and not directory:
                    raise PreconditionError(
                        f"{path}: the build made a hard link", "a release has to hold its own files"
                    )
                os.fchmod(handle, (status.st_mode & 0o777 | 0o444 | (0o111 if directory else 0)) & ~0o022)
            finally:
                os.close(handle)


def discard(path: Path) -> None:
    """Remove a file, a link (not what it leads to) or a whole tree. OSError when it stays.

    A tree gets another name first: whoever is killed in here leaves no half of something that still has its name.
    """
    try:
        directory = stat.S_ISDIR(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not directory:
        path.unlink(missing_ok=True)
        return
    aside = path
    if not path.name.startswith(GONE):
        aside = path.with_name(f"{GONE}{path.name}-{time.monotonic_ns()}")
        path.rename(aside)
    shutil.rmtree(aside)  # by open handles: what is swapped for a link meanwhile is not followed
