"""A raw mapping as a typed record, and msgspec's refusals in our words: who says it, at which path, what was meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from adaf_pipeline.errors import ConfigError
from adaf_pipeline.overlays import Sources

S = TypeVar("S")
_UNKNOWN = re.compile(r"Object contains unknown field `(.+?)`(?: - at `\$(.*)`)?$", re.DOTALL)
_AT = re.compile(r"^(.*?)(?: - at (?:`key` in )?`\$(.*)`)?$", re.DOTALL)
_KEY = re.compile(r"([a-z_]+(?:/[^:]+)?): (.*)", re.DOTALL)  # how a Settings' own check names its key


def typed(raw: Any, kind: type[S], path: str, sources: Sources, also: Iterable[str] = ()) -> S:
    """``raw`` as the msgspec Struct ``kind``; ConfigError ``adaf.yaml: a/b: what, did you mean ...``.

    ``also``: keys of the same mapping that somebody else reads.
    """
    try:
        return msgspec.convert(raw, kind, strict=True)
    except msgspec.ValidationError as exc:
        message = str(exc)
    unknown = _UNKNOWN.match(message)
    if unknown:
        key, inner = unknown.group(1), _slashes(unknown.group(2) or "")
        known = [*_fields(kind, inner), *(also if not inner else ())]
        near = difflib.get_close_matches(key, known, n=1)
        mean = f', did you mean "{near[0]}"?' if near else ""
        where = sources.where(_join(path, _named(raw, kind, inner, message), _short(key)))
        raise ConfigError(f"{where}: unknown key{mean}", f"known here: {', '.join(sorted(known)) or 'nothing'}")
    at = _AT.match(message)
    what, inner = (at.group(1), _slashes(at.group(2) or "")) if at else (message, "")
    inner = _named(raw, kind, f"{inner}/*" if "- at `key` in" in message else inner, message)
    own = _KEY.match(what)
    if own and own.group(1).partition("/")[0] in _fields(kind, inner):
        inner, what = _join(inner, own.group(1)), own.group(2)
    what = what[0].lower() + what[1:].replace("`", '"')
    raise ConfigError(
        f"{sources.where(_join(path, inner))}: {what}",
        "docs/configuration.md and the comments of adaf.yaml show what goes there",
    )


def _named(raw: Any, kind: type[Any], inner: str, message: str) -> str:
    """``inner`` with the entry's name for the ``*``: msgspec does not say in which one of a mapping it is."""
    above, star, below = inner.partition("*")
    if not star:
        return inner
    way = above.strip("/").split("/")
    for key in _at(raw, way):
        try:
            msgspec.convert(_only(raw, way, key), kind, strict=True)
        except msgspec.ValidationError as exc:
            if str(exc) == message:
                return f"{above}{_short(str(key))}{below}"
    return inner


def _at(raw: Any, way: Iterable[str]) -> dict[Any, Any]:
    for part in way:
        raw = raw.get(part) if isinstance(raw, dict) else None
    return raw if isinstance(raw, dict) else {}


def _only(raw: dict[Any, Any], way: list[str], key: Any) -> dict[Any, Any]:
    """A copy in which the mapping at ``way`` has no other entry."""
    if not way:
        return {key: raw[key]}
    return {**raw, way[0]: _only(raw[way[0]], way[1:], key)}


def _short(key: str) -> str:
    return key if len(key) <= 80 else f"{key[:77]}..."


def _fields(kind: type[Any], inner: str) -> list[str]:
    """The keys of the Struct that a path inside ``kind`` leads to."""
    from msgspec import inspect

    current: Any = inspect.type_info(kind)
    for part in filter(None, inner.split("/")):
        fields = {field.encode_name: field.type for field in getattr(current, "fields", ())}
        current = fields.get(part) or getattr(current, "value_type", None)  # of a mapping, whatever the name
    return [field.encode_name for field in getattr(current, "fields", ())]


def _slashes(path: str) -> str:
    return re.sub(r"[.\[]", "/", path.replace("[...]", "/*")).replace("]", "").strip("/")


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)
