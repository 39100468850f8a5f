"""Node, where ci/env and distributions put it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from adaf_nextjs import versions
from adaf_pipeline.errors import AdafError, PreconditionError
from adaf_pipeline.process import Account, run
from adaf_pipeline.service import Binary

NODE = Binary("node", "nodejs", supported=("20", "27"))
USUAL = ("/usr/local/bin", "/usr/bin", "/bin")
MEND = "./ci/env true"


@dataclass(frozen=True, slots=True)
class Node:
    """A node that the building account can run."""

    path: Path
    version: str


def folder(state: Path) -> Path:
    """Where ci/env installs: it says so, and without it (an activated .venv) it is beside the stacks' states."""
    given = os.environ.get("ADAF_TOOLS")
    return Path(given) if given else state.parent / "tools"


def find_node(tools: Path, account: Account | None) -> Node:
    """The first supported one, in the order in which runtimes look; PreconditionError says what was refused."""
    low, high = NODE.supported
    refused = []
    for path in programs("node", tools):
        version = _version(path, path.stat().st_mtime_ns, account)
        if version and versions.numbers(low) <= versions.numbers(version) < versions.numbers(high):
            return Node(path, version)
        who = account.name if account else "this user"
        refused.append(f"{path} is {version}" if version else f"{path} cannot be run by {who}")
    what = f"{'; '.join(refused)}; supported: {low} up to, but not, {high}" if refused else "not found"
    raise PreconditionError(f"node: {what}", f"{MEND} installs one, or apt-get install {NODE.package}")


def search_path(node: Node, *more: Path) -> str:
    """PATH of what we start: not the caller's, which may lead into places that the account cannot enter."""
    return os.pathsep.join(dict.fromkeys([*(str(path) for path in (*more, node.path.parent)), *USUAL]))


def programs(name: str, tools: Path) -> list[Path]:
    """Candidates: the tools of ci/env, the system, and PATH last."""
    folders = [str(tools / "bin"), str(tools / "node" / "bin"), *USUAL, *os.environ.get("PATH", "").split(os.pathsep)]
    found = [Path(place) / name for place in dict.fromkeys(folders) if place]
    return [path for path in found if os.access(path, os.X_OK) and path.is_file()]  # access() never raises


@lru_cache(maxsize=32)
def _version(path: Path, _changed: int, account: Account | None) -> str:
    """As the account itself: root may read below a closed home, the account may not."""
    try:
        said = run([str(path), NODE.version], account=account, timeout=20, check=False)
    except AdafError:
        return ""
    return said.stdout.strip().lstrip("v") if said.code == 0 else ""
