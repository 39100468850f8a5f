"""What lock files say of the packages that an application asks for itself, read without starting a manager.

A lock is out of step when it was made for other words in package.json: every manager then refuses to install from it,
mostly minutes later, or quietly changes it. Formats: pnpm's ``importers`` (lockfileVersion 5 to 9), npm's ``packages``
(2 and 3), Yarn's keys (1) and workspace entries (2 and later), Bun's text lock.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

GROUPS = ("devDependencies", "dependencies", "optionalDependencies")  # of a package named twice the later one counts
_MERGE = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)
_COMMA = re.compile(r",(\s*[}\]])")  # Bun writes it, JSON has none


@dataclass(frozen=True, slots=True)
class Locked:
    """By package the ranges that the lock was made for; ``whole``: of the application's own packages, and no others."""

    ranges: Mapping[str, frozenset[str]]
    whole: bool = True


def asked(manifest: Mapping[str, Any]) -> dict[str, str]:
    """What package.json asks for: ranges by package."""
    groups = [manifest.get(group) for group in GROUPS]
    return {name: str(said) for group in groups if isinstance(group, dict) for name, said in group.items()}


def drift(manifest: Mapping[str, Any], lock: Path, within: str) -> tuple[str, ...]:
    """Where a lock differs from package.json, a line each; () also where it does not tell (npm 6, Bun's binary one).

    ``within``: the application's place below the lock's folder, "" for that folder. ValueError when it is no lock.
    """
    read = READERS.get(lock.name)
    if read is None:
        return ()
    body = lock.read_text(encoding="utf-8", errors="replace")
    if _MERGE.search(body):
        raise ValueError("a merge left its marks in it")
    found = read(body, within)
    return tuple(_differences(manifest, found, lock.name)) if found else ()


def _differences(manifest: Mapping[str, Any], found: Locked, lock: str) -> Iterator[str]:
    wanted = asked(manifest)
    elsewhere = {**(manifest.get("resolutions") or {}), **(manifest.get("peerDependencies") or {})}
    for package, said in sorted(wanted.items()):
        known = found.ranges.get(package)
        if known is None:
            yield f"{package}: not in {lock}"
        elif said not in known and known and package not in elsewhere:
            yield f"{package}: package.json says {said}, {lock} {' and '.join(sorted({k.removeprefix('npm:') for k in known}))}"
    if found.whole:
        yield from (
            f"{name}: in {lock} only" for name in sorted(found.ranges.keys() - wanted.keys() - elsewhere.keys())
        )


def _exactly(ranges: Mapping[str, str]) -> Locked:
    return Locked({name: frozenset({said}) for name, said in ranges.items()})


def _pnpm(body: str, within: str) -> Locked | None:
    try:
        told = yaml.safe_load(body.partition("\npackages:")[0])  # what follows is most of it, and not asked here
    except yaml.YAMLError as exc:
        raise ValueError(" ".join(str(exc).split())) from exc
    if not isinstance(told, dict) or "lockfileVersion" not in told:
        raise ValueError("it has no lockfileVersion")
    own = (told["importers"] or {}).get(within or ".") if "importers" in told else told
    own = own or {}
    if "specifiers" in own:  # 5
        ranges = {name: str(said) for name, said in (own["specifiers"] or {}).items()}
    else:
        entries = {name: entry for group in GROUPS for name, entry in (own.get(group) or {}).items()}
        ranges = {name: str(entry.get("specifier")) for name, entry in entries.items() if isinstance(entry, dict)}
    decided = told.get("overrides") or {}  # by the lock, and written into it
    return Locked({name: frozenset() if name in decided else frozenset({said}) for name, said in ranges.items()})


def _npm(body: str, within: str) -> Locked | None:
    packages = _json(body).get("packages")
    return _exactly(asked(packages.get(within) or {})) if isinstance(packages, dict) else None


def _bun(body: str, within: str) -> Locked | None:
    spaces = _json(_COMMA.sub(r"\1", body)).get("workspaces")
    return _exactly(asked(spaces.get(within) or {})) if isinstance(spaces, dict) else None


def _yarn(body: str, within: str) -> Locked | None:
    if "__metadata:" not in body:
        return _yarn_1(body)
    place = re.escape(within or ".")
    found = re.search(rf'^"[^"\n]*@workspace:{place}(?:,[^"\n]*)?":\n((?:  .*\n?)*)', body, re.MULTILINE)
    entry = (yaml.safe_load(found[1]) or {}) if found else {}
    ranges = {name: str(said) for name, said in (entry.get("dependencies") or {}).items()}
    return Locked({name: frozenset({said, said.removeprefix("npm:")}) for name, said in ranges.items()})


def _yarn_1(body: str) -> Locked:
    """Its keys are ``name@range``, of all packages that anybody asks for."""
    if "yarn lockfile v1" not in body:
        raise ValueError("it is no lock of Yarn")
    ranges: dict[str, set[str]] = {}
    for line in body.splitlines():
        if line[:1] not in (" ", "#", "") and line.endswith(":"):
            for key in line[:-1].split(", "):
                name, _, said = (
                    key.strip('"').rpartition("@") if "@npm:" not in key else key.strip('"').partition("@npm:")
                )
                ranges.setdefault(name, set()).add(f"npm:{said}" if "@npm:" in key else said)
    return Locked({name: frozenset(said) for name, said in ranges.items()}, whole=False)


def _json(body: str) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except json.JSONDecodeError as exc:
        raise ValueError(f"line {exc.lineno}: {exc.msg}") from exc
    if not isinstance(told, dict):
        raise ValueError("it is not an object")
    return told


READERS: dict[str, Callable[[str, str], Locked | None]] = {
    "pnpm-lock.yaml": _pnpm,
    "package-lock.json": _npm,
    "npm-shrinkwrap.json": _npm,
    "yarn.lock": _yarn,
    "bun.lock": _bun,
}
