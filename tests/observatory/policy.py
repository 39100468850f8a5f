"""Content-Security-Policy as the Observatory reads it: several policies become the one that holds of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import unquote

Policy = dict[str, frozenset[str]]

SHORTEST = len("img-src") - 1
TWICE = ("report-uri", "report-to")  # may be said twice in one policy, which is a remark and no error
HEADER_ONLY = ("frame-ancestors", "report-uri", "sandbox")  # what <meta> cannot say


class PolicyError(ValueError):
    """A policy that cannot be read."""


@dataclass
class _Source:
    text: str
    policy: int
    keep: bool


def split(headers: Sequence[str]) -> list[str]:
    """A comma ends a policy (RFC 9110, 5.3; CSP 3, 2.2)."""
    return [part.strip() for header in headers for part in header.split(",")]


def parse(policies: Sequence[str]) -> tuple[Policy, bool]:
    """Directive -> sources, all in lower case, and whether one was repeated that may be. PolicyError."""
    clean = [policy.replace("\r", "").replace("\n", "").strip() for policy in policies]
    if any(len(policy) < SHORTEST for policy in clean):
        raise PolicyError("too short to be a policy")
    found: dict[str, list[_Source]] = {}
    repeated = False
    for number, policy in enumerate(clean):
        seen: set[str] = set()
        for words in filter(None, (entry.split() for entry in policy.split(";"))):
            directive = words[0].lower()
            if directive in seen and directive not in TWICE:
                raise PolicyError(f"{directive} is said twice")
            repeated = repeated or directive in seen
            seen.add(directive)
            texts = [word.lower() for word in words[1:]]
            if not texts and directive.endswith("-src"):
                texts = ["'none'"]  # a list without sources
            sources = [_Source(text, number, number == 0) for text in texts]
            found[directive] = _together(sources, found.get(directive, []) if number else [])
            if number == 0 and len(clean) > 1:
                for source in found[directive]:
                    source.keep = False  # until another policy says so too
    return {
        name: frozenset(s.text for s in sources) or frozenset({"'none'"}) for name, sources in found.items()
    }, repeated


def parse_markup(policies: Sequence[str]) -> Policy:
    return {name: sources for name, sources in parse(policies)[0].items() if name not in HEADER_ONLY}


def _together(sources: list[_Source], before: list[_Source]) -> list[_Source]:
    """Within one policy the longer of two that begin alike is not needed; across policies only what is in both holds."""
    both = sorted([*before, *sources], key=lambda source: source.text)
    for previous, source in pairwise(both):
        if source.policy == previous.policy and source.text.startswith(previous.text):
            source.keep = False
        if source.policy != previous.policy and _covers(previous.text, source.text):
            source.keep = True
    return [source for source in both if source.keep]


def _covers(one: str, other: str) -> bool:
    """Path matching of CSP 3, 6.7.2.12, of which the scanner makes use for whole sources."""
    if not one or (one == "/" and not other):
        return True
    left, right = one.split("/"), other.split("/")
    if one.endswith("/"):
        left.pop()
        return len(left) < len(right) and [unquote(a) for a in left] == [unquote(b) for b in right[: len(left)]]
    return [unquote(a) for a in left] == [unquote(b) for b in right]
