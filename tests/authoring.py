"""The files that docs/plugins.md shows, as an author would have written them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCKS: dict[str, str] = dict(
    re.findall(r"^```\w+ (\S+)\n(.*?)^```$", (ROOT / "docs" / "plugins.md").read_text(), re.DOTALL | re.MULTILINE)
)
LOOSE = ".adaf/plugins/"


def write(folder: Path, *names: str) -> None:
    """These blocks as files below ``folder``."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(BLOCKS[name])


def loose(name: str) -> str:
    return f"{LOOSE}{name}.py"
