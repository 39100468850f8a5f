"""docs/design.md names modules: each is where it says, so that one can follow a deploy through the house."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "design.md").read_text()


def test_every_module_that_is_named_exists() -> None:
    named = set(re.findall(r"`([a-z_/]+\.py)", TEXT))
    assert len(named) > 20
    known = [
        file.as_posix()
        for file in (*ROOT.glob("src/**/*.py"), *ROOT.glob("plugins/**/*.py"), *ROOT.glob("tests/**/*.py"))
    ]
    assert not [name for name in named if not any(file.endswith(f"/{name}") for file in known)]


def test_every_function_that_is_named_with_its_module_exists() -> None:
    for module, function in re.findall(r"`([a-z_/]+\.py): (\w+)`", TEXT):
        assert re.search(rf"^def {function}\(", (ROOT / "src/adaf_pipeline" / module).read_text(), re.MULTILINE), module
