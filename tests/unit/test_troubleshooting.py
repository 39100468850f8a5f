"""docs/troubleshooting.md has every error that the code raises, under its exit code, and no other."""

from __future__ import annotations

import re

from raised import GAP, ROOT, Raised, from_shell, raised

PAGE = ROOT / "docs" / "troubleshooting.md"
SPAN = re.compile(r"(`+)(.+?)\1(?!`)", re.DOTALL)


def entries() -> dict[int, list[str]]:
    """By exit code: the messages that stand before the colon of an item."""
    found: dict[int, list[str]] = {}
    for section in re.split(r"^## Exit ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        code = int(section.split(":")[0])
        for item in re.findall(r"^- (.*?)(?=^- |^$|\Z)", section, re.DOTALL | re.MULTILINE):
            heads = re.match(r"(?:(`+)(?:.+?)\1(?!`),?\s*)+:", item, re.DOTALL)
            assert heads is not None, item
            found.setdefault(code, []).extend(span.strip() for _, span in SPAN.findall(heads.group()))
    return found


def test_every_error_has_an_entry_and_every_entry_an_error() -> None:
    known = [*raised(), *from_shell()]
    written = entries()
    missing = [
        f"{each.place}: exit {each.exit}: {each.message.replace(GAP, '...')}"
        for each in known
        if not any(each.pattern.fullmatch(entry) for entry in written.get(each.exit, ()))
    ]
    assert not missing, "docs/troubleshooting.md lacks\n" + "\n".join(missing)
    stale = [
        f"exit {code}: {entry}"
        for code, messages in written.items()
        for entry in messages
        if not any(each.exit == code and each.pattern.fullmatch(entry) for each in known)
    ]
    assert not stale, "no code raises what docs/troubleshooting.md has\n" + "\n".join(stale)


def test_the_collector_sees_what_is_raised() -> None:
    said = {each.message for each in raised()}
    assert {"no deploy is running", f"{GAP}: not found", f"interrupted by {GAP}"} <= said
    assert len(said) > 150


def test_a_gap_is_written_in_capitals() -> None:
    pattern = Raised("", 1, f"{GAP}: not found in {GAP} or above").pattern
    assert pattern.fullmatch("FILE: not found in FOLDER or above")
    assert not pattern.fullmatch("FILE: not found in the folder or above")
