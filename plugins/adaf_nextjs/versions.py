"""Version numbers and the ranges that package.json's ``engines`` are written in."""

from __future__ import annotations

import re

Version = tuple[int, int, int]

_EXACT = re.compile(r"\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?")
_PART = r"(\d+|[xX*])"
_COMPARATOR = re.compile(rf"(>=|<=|>|<|=|\^|~)?\s*v?{_PART}(?:\.{_PART})?(?:\.{_PART})?(?:[-+][\w.+-]*)?(?=\s|$)")
_HYPHEN = re.compile(r"(\S+)\s+-\s+(\S+)")


def exact(version: str) -> bool:
    """Whether it names one version: ``10.34.9``, not ``10`` or ``^10.1``."""
    return _EXACT.fullmatch(version) is not None


def numbers(version: str) -> Version:
    """``v20.19.1`` as (20, 19, 1); what is not there is 0."""
    found = [int(part) for part in re.findall(r"\d+", version)[:3]]
    return (*found, 0, 0, 0)[:3]  # type: ignore[return-value]


def satisfies(version: str, wanted: str) -> bool:
    """Whether a version lies in a range as npm understands it. What we cannot read is left to pnpm: True."""
    for alternative in wanted.split("||"):
        text = _HYPHEN.sub(r">=\1 <=\2", alternative.strip())
        bounds = [_bounds(match) for match in _COMPARATOR.finditer(text)]
        if _COMPARATOR.sub("", text).strip():
            return True
        if all(low <= numbers(version) < high for low, high in bounds):
            return True
    return False


_LEAST: Version = (0, 0, 0)
_MOST: Version = (1 << 60, 0, 0)


def _bounds(match: re.Match[str]) -> tuple[Version, Version]:
    """A comparator as a half-open interval."""
    sign, *parts = match.groups()
    given: list[int] = []
    for part in parts:
        if part is None or not part.isdigit():
            break
        given.append(int(part))
    if not given:
        return _LEAST, _MOST
    low = numbers(".".join(map(str, given)))
    after = _next(given, len(given))  # the first version that no longer begins with these numbers
    if sign == ">=":
        return low, _MOST
    if sign == ">":
        return after, _MOST
    if sign == "<":
        return _LEAST, low
    if sign == "<=":
        return _LEAST, after
    if sign == "~":
        return low, _next(given, min(2, len(given)))
    if sign == "^":
        first = next((i + 1 for i, number in enumerate(given) if number), len(given))
        return low, _next(given, first)
    return low, after


def _next(given: list[int], length: int) -> Version:
    kept = given[:length]
    return numbers(".".join(map(str, [*kept[:-1], kept[-1] + 1])))
