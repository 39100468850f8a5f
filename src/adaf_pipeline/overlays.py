"""What a stack's configuration is made of: adaf.yaml, one overlay beside it, and variables of the environment.

Mappings merge, everything else replaces, and nothing (``null``) takes away what was said below: the default holds
again. Who said what is remembered, so that an error names the file, the overlay or the variable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adaf_pipeline import yamlfile
from adaf_pipeline.errors import ConfigError

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
Tree = dict[str, Any]
Keys = tuple[str, ...]


@dataclass
class Sources:
    """Who said what. ``said``: path to a file's or variable's name; what is not there is said by ``file``."""

    file: str
    said: dict[Keys, str] = field(default_factory=dict)

    def of(self, path: str) -> str:
        """The source of ``deploy/probe/rate``, or of the nearest thing above it."""
        parts = tuple(filter(None, path.split("/")))
        return next((self.said[parts[:n]] for n in range(len(parts), 0, -1) if parts[:n] in self.said), self.file)

    def where(self, path: str) -> str:
        """How an error begins: ``adaf.prod.yaml: deploy/bake``."""
        return f"{self.of(path)}: {path or 'the file'}"

    def put(self, path: Keys, source: str) -> None:
        self.said = {known: name for known, name in self.said.items() if known[: len(path)] != path}
        self.said[path] = source


def overlay(file: Path, name: str, said_by: str = "--stack") -> Path:
    """``adaf.prod.yaml`` beside ``adaf.yaml``. ConfigError, with the overlays there are, when it is not there."""
    beside = f"{file.stem}.{name}{file.suffix}"
    known = overlays(file)
    if name in known:
        return file.with_name(beside)
    there = f"there are: {', '.join(known)}" if known else f"{file.parent} has none"
    if not NAME.fullmatch(name):
        raise ConfigError(f"{said_by}: {name!r}: not the name of a stack", there)
    raise ConfigError(f"{said_by}: {name}: no overlay {beside}", there)


def overlays(file: Path) -> list[str]:
    """The names of the stacks that have an overlay beside ``file``, sorted."""
    try:
        beside = [path.name for path in file.parent.iterdir()]
    except OSError:
        return []
    first, last = f"{file.stem}.", file.suffix
    middles = {name[len(first) : -len(last)] for name in beside if name.startswith(first) and name.endswith(last)}
    return sorted(middle for middle in middles if NAME.fullmatch(middle))


def read(file: Path) -> Tree:
    """An overlay's content. ConfigError when it is anything but a mapping."""
    found = yamlfile.read(file)
    if not isinstance(found, dict):
        raise ConfigError(f"{file.name}: the file: expected a mapping", "for example  deploy: {bake: 60}")
    return found


def spell_out(tree: Tree, roles: Mapping[str, str]) -> None:
    """``cache: redis`` is short for ``cache: {use: redis}``; spelt out, the two merge with each other."""
    apps = tree.get("apps")
    for holder, names in ((tree, roles), (apps, apps)):
        if isinstance(holder, dict):
            for name in names or ():
                if isinstance(holder.get(name), str):
                    holder[name] = {"use": holder[name]}


def name_defaults(tree: Tree, roles: Mapping[str, str]) -> None:
    """``proxy: {port: 8080}`` is of the default backend, in adaf.yaml as in an overlay and a variable."""
    for role, default in roles.items():
        if isinstance(tree.get(role), dict):
            tree[role].setdefault("use", default)


def put(tree: Tree, layer: Tree, source: str, sources: Sources, roles: Mapping[str, str]) -> None:
    """Lay ``layer`` over ``tree``. ``roles``: role to its default backend, for a section that only ``layer`` has."""
    spell_out(layer, roles)
    for role, default in roles.items():
        if role not in tree and isinstance(layer.get(role), dict):
            tree[role] = {"use": default}
    _merge(tree, layer, (), source, sources)


def _merge(tree: Tree, layer: Tree, path: Keys, source: str, sources: Sources) -> None:
    for key, value in layer.items():
        here = (*path, key)
        below = tree.get(key)
        if value is None:
            tree.pop(key, None)
        elif isinstance(value, dict) and isinstance(below, dict) and not _another_backend(here, below, value):
            _merge(below, value, here, source, sources)
            continue
        else:
            tree[key] = _without_nothing(value)
        sources.put(here, source)


def _another_backend(path: Keys, below: Tree, value: Tree) -> bool:
    """A section that names another backend shares no key with the one it replaces."""
    section = len(path) == 1 or (len(path) == 2 and path[0] == "apps")
    return section and "use" in below and value.get("use", below["use"]) != below["use"]


def _without_nothing(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _without_nothing(inner) for key, inner in value.items() if inner is not None}
