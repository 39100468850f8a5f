"""What `inv lockfile` asks of a project on pnpm: every fault at once, each with the command that mends it."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from adaf_nextjs import locks, network, pnpm, tools, versions
from adaf_nextjs.project import LOCK, Project
from adaf_pipeline.errors import AdafError, PreconditionError
from adaf_pipeline.process import Account, run
from adaf_pipeline.roles import Fault, Locked, Progress

TIMEOUT = 300.0  # s, to make a lock anew


def locked(project: Project, folder: Path, node: Callable[[], tools.Node]) -> Locked:
    """``folder``: of the tools; ``node``: finds it. PreconditionError when package.json cannot be read."""
    project.manifest()
    version = ""

    def wanted() -> None:
        nonlocal version
        version = project.pnpm_version(pnpm.known(folder))

    def renew(progress: Progress) -> None:
        _renew(project, folder, node(), version, progress)

    def remove(progress: Progress) -> None:
        progress("removing node_modules")
        shutil.rmtree(project.path / "node_modules")

    checks: tuple[tuple[Callable[[], None], Callable[[Progress], None] | None], ...] = (
        (wanted, None),
        (lambda: project.check_engines(version) if version else None, None),
        (project.check_lock, renew if project.unlocked else None),
        (project.check_step, renew if _readable(project) else None),  # a merge is somebody's work
        (lambda: check_node(project, node()), None),
        (project.check_modules, remove),
        (lambda: _check_own(project, version) if version else None, None),
    )
    faults = tuple(found for check, fix in checks for found in _refused(check, fix))
    return Locked(f"pnpm {version}, {project.typed(LOCK) if not project.within else project.root / LOCK}", faults)


def _readable(project: Project) -> bool:
    try:
        locks.drift(project.read(), project.root / LOCK, project.within)
    except (OSError, ValueError):
        return False
    return True


def _refused(check: Callable[[], None], fix: Callable[[Progress], None] | None) -> Iterator[Fault]:
    try:
        check()
    except AdafError as exc:
        yield Fault(exc.message, exc.hint, tuple(exc.detail), fix)


def check_node(project: Project, node: tools.Node) -> None:
    """``engines.node``."""
    wanted = project.wanted_node()
    if not versions.satisfies(node.version, wanted):
        raise PreconditionError(
            f"{project.label}: package.json wants node {wanted}, {node.path} is {node.version}",
            f"install another {tools.NODE.package}, or change engines.node",
        )


def _check_own(project: Project, version: str) -> None:
    """The pnpm that a person would type here. What cannot be started is not what they use."""
    own = shutil.which("pnpm")
    if own is None:
        return
    env = {**os.environ, "COREPACK_ENABLE_NETWORK": "0"}
    try:
        said = run([own, "--version"], cwd=project.root, env=env, timeout=20, check=False)
    except AdafError:
        return
    found = said.stdout.strip()
    if said.code == 0 and versions.exact(found) and found != version:
        raise PreconditionError(
            f"{project.label}: {own} is pnpm {found}, package.json says {version}",
            f"npm install --global pnpm@{version}",
        )


def _renew(project: Project, folder: Path, node: tools.Node, version: str, progress: Progress) -> None:
    """As the owner of the folder: whoever keeps the checkout keeps its files."""
    record = project.root.stat()
    account = None
    if os.geteuid() == 0 and record.st_uid:
        known = pwd.getpwuid(record.st_uid)
        account = Account(known.pw_name, record.st_uid, record.st_gid, Path(known.pw_dir))
    program = pnpm.get(version, folder, node, account, progress)
    progress(f"making {LOCK} anew")
    home = str(account.home if account else Path.home())
    env = {"PATH": tools.search_path(node, program.parent), "HOME": home, **network.environment()}
    with tempfile.TemporaryDirectory(prefix="adaf-store-") as store:  # else pnpm may make one beside the checkout
        if account:
            os.chown(store, account.uid, account.gid)
        words = ["install", "--lockfile-only", "--no-frozen-lockfile", "--store-dir", store]
        run([str(program), *words], cwd=project.root, env=env, account=account, timeout=TIMEOUT)
