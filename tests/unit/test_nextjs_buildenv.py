"""What a build has to be given: missing and odd values, and names that nobody declared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from nextjs_cases import machine, make, refused, sound, write

from adaf_nextjs.buildenv import BuildVariable
from adaf_nextjs.node import NodeServer, NodeSettings

API = {"pattern": "https://.*", "description": "where the browser finds the API"}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    machine(monkeypatch, tmp_path)
    return sound(tmp_path)


def built(source: Path, declared: dict[str, Any], **given: str) -> Any:
    return make(source, build_variables=declared, build_environment=given)


def test_every_missing_value_is_named_with_what_it_is_for(source: Path) -> None:
    error = refused(built(source, {"NEXT_PUBLIC_API": API, "NEXT_PUBLIC_MAP": {}, "CDN": {"required": False}}))
    assert error.message == "apps/web/build_environment: no value for NEXT_PUBLIC_API, NEXT_PUBLIC_MAP"
    assert (error.exit_code, tuple(error.detail)) == (2, ("NEXT_PUBLIC_API: where the browser finds the API",))
    assert error.hint == "values go there, into the overlay of a stack, or into .env.production"
    one = refused(built(source, {"NEXT_PUBLIC_API": {}}, NEXT_PUBLIC_API=""))
    assert one.message == "apps/web/build_environment: no value for NEXT_PUBLIC_API"


def test_a_value_has_to_look_as_declared(source: Path) -> None:
    built(
        source, {"NEXT_PUBLIC_API": API, "CDN": {"required": False, "pattern": "x"}}, NEXT_PUBLIC_API="https://a"
    ).check()
    error = refused(built(source, {"NEXT_PUBLIC_API": API}, NEXT_PUBLIC_API="http://a"))
    assert error.exit_code == 2
    assert error.message == "apps/web/build_environment/NEXT_PUBLIC_API: does not match https://.*: http://a"
    assert error.hint == "where the browser finds the API"
    private = refused(built(source, {"REGISTRY_NAME": {"pattern": "[a-z]+"}}, REGISTRY_NAME="Private9"))
    assert private.message == "apps/web/build_environment/REGISTRY_NAME: does not match [a-z]+"
    odd = refused(built(source, {"A": {"pattern": "("}}, A="x"))
    assert odd.message.startswith("apps/web/build_variables/A/pattern: no regular expression: ")


def test_values_of_env_files_count_and_those_of_adaf_yaml_are_above_them(source: Path) -> None:
    write(source, ".env", "NEXT_PUBLIC_API=http://of-env\n# NEXT_PUBLIC_MAP=x\n")
    write(source, ".env.production", 'export NEXT_PUBLIC_API="https://of-production"\n')
    write(source, ".env.local", "NEXT_PUBLIC_MAP=mine\n")
    built(source, {"NEXT_PUBLIC_API": API}).check()
    assert (
        "does not match https://.*: ftp://x"
        in refused(built(source, {"NEXT_PUBLIC_API": API}, NEXT_PUBLIC_API="ftp://x")).message
    )
    assert "no value for NEXT_PUBLIC_MAP" in refused(built(source, {"NEXT_PUBLIC_MAP": {}})).message


def test_names_that_nobody_declared_are_reported_with_their_place(source: Path) -> None:
    write(source, "app/page.tsx", "const a = 1;\nconst b = process.env.NEXT_PUBLIC_MAP;\n")
    write(
        source,
        "lib/api.mjs",
        "fetch(process.env['NEXT_PUBLIC_API'] + process.env.NEXT_PUBLIC_MAP + process.env.NODE_ENV)",
    )
    write(source, "notes.md", "process.env.NEXT_PUBLIC_NOTES")
    write(source, "node_modules/x/index.js", "process.env.NEXT_PUBLIC_OTHERS")
    write(source, ".env", "NEXT_PUBLIC_SET=1\n")
    write(source, "lib/set.js", "process.env.NEXT_PUBLIC_SET")
    found = {finding.what: finding.hint for finding in make(source).doctor() if not finding.ok}
    said = "which is neither declared nor given"
    assert found == {
        f"lib/api.mjs:1 uses NEXT_PUBLIC_API, {said}": "declare it: apps/web/build_variables/NEXT_PUBLIC_API",
        f"app/page.tsx:2 uses NEXT_PUBLIC_MAP, {said}": "declare it: apps/web/build_variables/NEXT_PUBLIC_MAP",
    }
    declared = {"NEXT_PUBLIC_API": {"required": False}, "NEXT_PUBLIC_MAP": {"required": False}}
    assert all(finding.ok for finding in built(source, declared).doctor())


def test_a_node_server_has_to_be_given_them_too(source: Path) -> None:
    like = make(source)
    write(source, "package.json", json.dumps({"name": "x"}))
    write(source, "server.js", "")
    server = NodeServer(NodeSettings(build_variables={"A": BuildVariable()}), like.stack)
    server.name, server.path = "web", source
    assert refused(server).message == "apps/web/build_environment: no value for A"  # type: ignore[arg-type]
