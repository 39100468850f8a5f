"""pnpm in exactly the version that the project names: a newer one may read its lock in another way."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adaf_nextjs import network, tools, versions
from adaf_nextjs.tools import MEND, Node
from adaf_pipeline.errors import AdafError, PreconditionError
from adaf_pipeline.process import Account, run
from adaf_pipeline.roles import Progress

TRIED = "10.34.9"  # to suggest when there is none yet


def place(folder: Path, version: str) -> Path:
    """Where ci/env and we put it. Its folder appears only when it is complete."""
    return folder / "pnpm" / version / "bin" / "pnpm"


def known(folder: Path) -> str:
    """The newest that is installed here, to suggest it."""
    found = [path.name for path in folder.glob("pnpm/*") if versions.exact(path.name)]
    return max(found, key=versions.numbers, default=TRIED)


def find(version: str, folder: Path, node: Node, account: Account | None) -> Path | None:
    """The program, or None."""
    if place(folder, version).exists():
        return place(folder, version)
    quiet = {"PATH": tools.search_path(node), "COREPACK_ENABLE_NETWORK": "0", "HOME": "/nonexistent"}
    for path in tools.programs("pnpm", folder):
        try:
            said = run([str(path), "--version"], account=account, env=quiet, timeout=20, check=False)
        except AdafError:
            continue  # not ours to run, or broken
        if said.code == 0 and said.stdout.strip() == version:
            return path
    return None


def find_npm(folder: Path, node: Node) -> Path | None:
    """npm, which is used to install pnpm and for nothing else: never on the project."""
    beside = node.path.parent / "npm"
    return beside if os.access(beside, os.X_OK) else next(iter(tools.programs("npm", folder)), None)


def available(version: str, folder: Path, node: Node, account: Account | None) -> bool:
    """Whether ``get`` has a chance. Starts nothing unless there is no npm."""
    return (
        place(folder, version).exists()
        or find_npm(folder, node) is not None
        or find(version, folder, node, account) is not None
    )


def get(version: str, folder: Path, node: Node, account: Account | None, progress: Progress) -> Path:
    """The program, installed when it is missing."""
    found = find(version, folder, node, account)
    if found is not None:
        return found
    npm = find_npm(folder, node)
    if npm is None:
        raise PreconditionError(f"pnpm {version} is missing, and there is no npm to install it with", MEND)
    progress(f"installing pnpm {version}")
    try:
        with _locked(folder):
            if not place(folder, version).exists():
                _install(version, folder, npm, node)
    except (AdafError, OSError) as exc:
        detail = exc.detail if isinstance(exc, AdafError) else ()
        message = f"pnpm {version} is missing and could not be installed: {exc}"
        raise PreconditionError(message, MEND, detail=detail) from exc
    return place(folder, version)


def _install(version: str, folder: Path, npm: Path, node: Node) -> None:
    target = folder / "pnpm" / version
    new = target.with_name(f"{version}.new")
    for path in (new, target):  # without its program it is no installation
        shutil.rmtree(path, ignore_errors=True)
    new.mkdir(parents=True, mode=0o755)
    words = ["install", "-g", "--prefix", str(new), "--cache", str(new / ".cache"), "--ignore-scripts"]
    words += ["--loglevel=error", "--logs-max=0", "--fetch-retries=1", "--no-audit", "--no-fund", f"pnpm@{version}"]
    run([str(npm), *words], env={"PATH": tools.search_path(node), **network.environment()}, timeout=300)
    shutil.rmtree(new / ".cache", ignore_errors=True)
    for path in (folder, new.parent, new):
        path.chmod(0o755)  # whatever our umask is, the account must get there
    new.rename(target)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """ci/env of another checkout takes the same lock."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
