"""The JSON schema of adaf.yaml, for editors: the core's keys, and for each role the Settings of every backend there is.

``python -m adaf_pipeline.schema > adaf.schema.json`` writes it; the first line of adaf.yaml names it. An overlay,
which says only what differs, may name it as well: so nothing is required that another layer may have said.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec

from adaf_pipeline.config import ROLE_KEYS, AppSettings, Core
from adaf_pipeline.event import Json
from adaf_pipeline.plugins import Registry, discover


def schema(registry: Registry) -> dict[str, Json]:
    """JSON Schema (2020-12) of the file. PluginError when a backend cannot be loaded."""
    body: dict[str, Any] = msgspec.json.schema(Core)
    definitions = body["$defs"]
    core = definitions["Core"]["properties"]
    for role in ROLE_KEYS:
        core[role] = {**core[role], **_section(registry, role, definitions, {})}
    own = msgspec.json.schema(AppSettings)["$defs"]["AppSettings"]["properties"]
    app = _section(registry, "app", definitions, own)
    core["apps"] = {"type": "object", "minProperties": 1, "additionalProperties": app}
    del definitions["Core"]["required"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "adaf.yaml", **body}


def _section(registry: Registry, role: str, definitions: dict[str, Any], more: dict[str, Json]) -> dict[str, Json]:
    """A backend's name, or a mapping with ``use`` and that backend's keys. Backends that are not here may have any key."""
    known = sorted(name for r, name in registry.backends() if r == role)
    rules: list[dict[str, Json]] = []
    for name in known:
        kind = registry.load(role, name, "schema").Settings
        prefix = f"{role}.{name}."  # every backend's Settings is called so
        _refs, parts = msgspec.json.schema_components([kind], ref_template=f"#/$defs/{prefix}{{name}}")
        own = parts.pop(kind.__name__)
        definitions |= {prefix + part: body for part, body in parts.items()}
        use = {"const": name, "description": f"{role} {name}"}
        keys = {"properties": {"use": use, **more, **own["properties"]}, "additionalProperties": False}
        this = {"type": "object", "properties": {"use": {"const": name}}, "required": ["use"]}
        rules.append({"if": this, "then": keys})  # one error, at the wrong key
    mapping = {
        "type": "object",
        "properties": {"use": {"type": "string", "examples": known}, **more},
    }
    return {"if": {"type": "object"}, "then": mapping, "else": {"type": "string", "examples": known}, "allOf": rules}


if __name__ == "__main__":
    json.dump(schema(discover()), sys.stdout, indent=2)
    sys.stdout.write("\n")
