"""The keys of adaf.yaml as a table would have them: by introspection, for the comparison with docs/configuration.md."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from adaf_nextjs.buildenv import BuildVariable
from adaf_pipeline.config import ROLE_KEYS, AppSettings, Core, DeploySettings, ProbeSettings, RetentionSettings
from adaf_pipeline.plugins import discover
from adaf_pipeline.roles import Delivery

Rows = dict[str, tuple[str, str]]  # key -> type, default


def tables() -> dict[str, Rows]:
    """By heading: the core's own sections, and one for each backend there is."""
    found = {
        "the file": rows(Core),
        "deploy": rows(DeploySettings),
        "deploy/probe": rows(ProbeSettings),
        "retention": rows(RetentionSettings),
        "apps/NAME": rows(AppSettings),
        "apps/NAME/secrets/VARIABLE": rows(Delivery),
        "apps/NAME/build_variables/VARIABLE": rows(BuildVariable),
    }
    registry = discover()
    for role, name in sorted(registry.backends()):
        heading = f"apps/NAME: {name}" if role == "app" else f"{role}: {name}"
        settings = registry.load(role, name, "docs").Settings
        found[heading] = rows(settings)
        for field in msgspec.structs.fields(settings):
            if isinstance(field.default, msgspec.Struct):
                found[f"{heading}, {field.name}"] = rows(type(field.default))
    return found


def rows(settings: type[msgspec.Struct]) -> Rows:
    _, parts = msgspec.json.schema_components([settings])
    own = parts[settings.__name__]
    found = {key: (kind(of), default(own, key, of)) for key, of in own["properties"].items()}
    if settings is Core:  # these stay raw until their backend is known
        found |= {key: ("backend", found[key][1]) for key in ROLE_KEYS}
        found["apps"] = ("backends by name", found["apps"][1])
    return found


def default(own: dict[str, Any], key: str, of: dict[str, Any]) -> str:
    if key in own.get("required", ()):
        return "needed"
    if "$ref" in of or "$ref" in str(of.get("allOf", "")):
        return "below"
    value = of["default"]
    return f"`{value:g}`" if isinstance(value, float) else f"`{json.dumps(value)}`"


def kind(of: dict[str, Any]) -> str:
    """Type and range, in words."""
    if "$ref" in of:
        return "section"
    if "anyOf" in of:
        return " or ".join(kind(part) for part in of["anyOf"] if part.get("type") != "null")
    if "enum" in of:
        return " or ".join(f"`{value}`" for value in of["enum"])
    match of.get("type"):
        case "integer" | "number" as what:
            words = {"integer": "whole number", "number": "number"}[what]
            if "exclusiveMaximum" in of:
                return f"{words} between {of['exclusiveMinimum']} and {of['exclusiveMaximum']}"
            if "exclusiveMinimum" in of:
                return f"{words} above {of['exclusiveMinimum']}, to {of['maximum']}"
            return f"{words} {of['minimum']} to {of['maximum']}"
        case "array":
            many = kind(of["items"]).replace("number ", "numbers ").replace("path in", "paths in")
            return f"list of {many}"
        case "object":
            inner = of.get("additionalProperties")
            return f"mapping to {kind(inner)}" if isinstance(inner, dict) and inner else "mapping"
        case "boolean":
            return "true or false"
        case "string":
            return "path in URLs" if of.get("pattern", "").startswith(("^/", "^(/")) else "text"
    return "anything"


if __name__ == "__main__":  # to be completed with what each means
    for heading, keys in tables().items():
        print(f"### {heading}\n")
        print("\n".join(f"| `{key}` | {kind} | {default} | |" for key, (kind, default) in keys.items()) + "\n")
