"""What an application is built with: declared names, what their values have to look like, and who uses others.

Next writes each ``NEXT_PUBLIC_*`` into its bundle as it is at that moment; one that nobody set is ``undefined`` there,
and nothing says so before a visitor does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from adaf_pipeline.config import Variable
from adaf_pipeline.errors import ConfigError

DOTENV = (".env", ".env.production")  # that Next reads for a build, the later one last; .local ones are no sources
_SOURCES = (".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts")
_USED = re.compile(r"""process\.env(?:\.|\[\s*["'])(NEXT_PUBLIC_\w+)""")
_LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$", re.MULTILINE)


class BuildVariable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``apps: {NAME: {build_variables: {NEXT_PUBLIC_API: {pattern: "https://.*", description: ...}}}}``."""

    required: Annotated[bool, msgspec.Meta(description="without a value nothing is built")] = True
    pattern: Annotated[str, msgspec.Meta(description="regular expression that the whole value matches")] = ""
    description: Annotated[str, msgspec.Meta(description="what it is for: whoever misses it reads this")] = ""


BuildVariables = dict[Variable, BuildVariable]


def check(key: str, declared: Mapping[str, BuildVariable], given: Mapping[str, str]) -> None:
    """ConfigError when a value is missing, all of them in one, or does not match; or when no value could."""
    missing = [name for name, variable in sorted(declared.items()) if variable.required and not given.get(name)]
    if missing:
        told = [f"{name}: {declared[name].description}" for name in missing if declared[name].description]
        raise ConfigError(
            f"{key}/build_environment: no value for {', '.join(missing)}",
            f"values go there, into the overlay of a stack, or into {DOTENV[1]}",
            detail=told,
        )
    for name, variable in sorted(declared.items()):
        try:
            matches = re.fullmatch(variable.pattern, given.get(name) or "", re.DOTALL)
        except re.error as exc:
            raise ConfigError(
                f"{key}/build_variables/{name}/pattern: no regular expression: {exc}", "as Python's re has them"
            ) from exc
        if variable.pattern and given.get(name) and not matches:
            shown = f": {given[name]}" if name.startswith("NEXT_PUBLIC_") else ""  # others may be private
            raise ConfigError(
                f"{key}/build_environment/{name}: does not match {variable.pattern}{shown}",
                variable.description or "mend the value, or the pattern",
            )


def given(folder: Path, files: tuple[str, ...], environment: Mapping[str, str]) -> dict[str, str]:
    """Every value that a build gets, as Next lays them over each other."""
    found: dict[str, str] = {}
    for name in DOTENV:
        if name in files:
            body = (folder / name).read_text(encoding="utf-8", errors="replace")
            found |= {key: value.strip("\"'") for key, value in _LINE.findall(body)}
    return {**found, **environment}


def unknown(folder: Path, files: tuple[str, ...], known: Mapping[str, object]) -> dict[str, str]:
    """``NEXT_PUBLIC_*`` that the sources use and nobody declared or gave: where each is used first."""
    found: dict[str, str] = {}
    for name in files:
        if name.endswith(_SOURCES) and not (folder / name).is_symlink():
            body = (folder / name).read_text(encoding="utf-8", errors="replace")
            for match in _USED.finditer(body):
                if match[1] not in known:
                    found.setdefault(match[1], f"{name}:{body.count(chr(10), 0, match.start()) + 1}")
    return dict(sorted(found.items()))
