"""The file: ``docker-compose.prod.yml``, the same bytes for the same services."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, cast

import yaml

from adaf_compose import networks
from adaf_compose.entry import Entry
from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.event import Json

FILE = "docker-compose.prod.yml"
Document = dict[str, Any]

_HEADER = """\
# The stack {name}, as it is applied. Rendered by adaf-pipeline: edits are lost with the next `inv up` or deploy.
# By hand, as root: docker compose -f {file} up -d --wait
# Data, sockets and secrets are in {state}; ADAF_STATE names another directory that has them.
"""
_PLAIN = re.compile("[A-Za-z][A-Za-z0-9_./-]*")
_WORDS = {"true", "false", "yes", "no", "on", "off", "y", "n", "null"}  # to one reader of YAML or another, no text


def document(name: str, state: PurePath, entries: Mapping[str, Entry]) -> Document:
    """The whole file of these entries (by name in the file), with the networks that they are on."""
    services = {key: _known(entries[key], entries) for key in sorted(entries)}
    joined = [network for made in services.values() for network in cast(Iterable[str], made.get("networks", ()))]
    found: Document = {"name": name, "x-adaf": {"state": str(state)}, "services": services}
    return found | ({"networks": networks.definitions(joined)} if joined else {})


def _known(made: Entry, entries: Mapping[str, Entry]) -> Entry:
    """Without the dependencies that are not there, which Compose would refuse."""
    needed = cast(Mapping[str, Json], made.get("depends_on", {}))
    there = {name: how for name, how in needed.items() if name in entries}
    rest = {key: value for key, value in made.items() if key != "depends_on"}
    return rest | ({"depends_on": there} if there else {})


def dump(found: Document) -> str:
    """The text of the file."""
    header = _HEADER.format(name=found["name"], state=found["x-adaf"]["state"], file=FILE)
    return header + yaml.dump(found, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=4096)


def load(text: str, where: str = FILE) -> Document:
    """The file as data. PreconditionError when it is not one of ours."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise PreconditionError(f"{where}: cannot be read: {_line(exc)}", _MEND) from exc
    entries = found.get("services") if isinstance(found, dict) else None
    if not isinstance(entries, dict) or not all(isinstance(made, dict) for made in entries.values()):
        raise PreconditionError(f"{where}: is not what was rendered", _MEND)
    return cast(Document, found)


_MEND = "move it aside, then `inv up` writes it anew"


def _line(exc: yaml.YAMLError) -> str:
    mark = getattr(exc, "problem_mark", None)
    return f"line {mark.line + 1}" if mark else "not YAML"


class _Dumper(yaml.SafeDumper):
    """Quotes whatever another reader of YAML could take for something else than text."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    tag = "tag:yaml.org,2002:str"
    plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return dumper.represent_scalar(tag, value, style=None if plain else '"')


_Dumper.add_representer(str, _text)
