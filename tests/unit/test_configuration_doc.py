"""docs/configuration.md has every key there is, with its type and default; and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from settings_tables import tables

TEXT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
SECTIONS = dict(re.findall(r"^### (.+?)\n(.*?)(?=^##|\Z)", TEXT, re.DOTALL | re.MULTILINE))
TABLES = tables()
HOW = "python tests/settings_tables.py prints the rows as they have to be"


def test_every_section_and_backend_is_there() -> None:
    assert sorted(SECTIONS) == sorted(TABLES), HOW


@pytest.mark.parametrize("heading", TABLES)
def test_its_keys_types_and_defaults_are_the_code_s(heading: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$", SECTIONS[heading], re.MULTILINE)
    wanted = [f"| `{key}` | {kind} | {default} |" for key, (kind, default) in TABLES[heading].items()]
    assert [f"| `{key}` | {kind} | {default} |" for key, kind, default, _meaning in rows] == wanted, HOW
    assert all(len(meaning) > 5 for *_, meaning in rows)
