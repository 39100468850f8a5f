"""Where a release comes from: who, from which checkout, at which commit."""

from __future__ import annotations

from pathlib import Path

from adaf_pipeline import lock
from adaf_pipeline.errors import AdafError
from adaf_pipeline.event import Json
from adaf_pipeline.process import run
from adaf_pipeline.roles import StackView

# whose checkout it is does not matter to somebody who runs its tasks.py; its git hooks and monitors are not asked
GIT = ("git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false")


def by(stack: StackView) -> dict[str, Json]:
    """``who`` runs this, and from which ``checkout``."""
    return {"who": lock.who(), "checkout": str(stack.checkout)}


def commit(checkout: Path) -> str:
    """The commit, with ``-dirty`` when files differ from it; "" where there is no git or no repository."""
    if not any((folder / ".git").exists() for folder in (checkout, *checkout.parents)):
        return ""
    words = ("describe", "--always", "--dirty", "--exclude=*", "--abbrev=12")
    try:
        return run([*GIT, *words], cwd=checkout, env={"GIT_OPTIONAL_LOCKS": "0"}, timeout=20).stdout.strip()
    except AdafError:  # a release is worth more than a line of its story
        return ""
