"""The committed JSON schema is the code's, and says what the loader says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from adaf_pipeline.plugins import discover
from adaf_pipeline.schema import schema

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return schema(discover())


def test_the_committed_schema_is_the_code_s(made: dict[str, Any]) -> None:
    command = "python -m adaf_pipeline.schema > adaf.schema.json"
    assert json.loads((ROOT / "adaf.schema.json").read_text()) == json.loads(json.dumps(made)), command


def test_our_own_file_names_it_and_fits(made: dict[str, Any]) -> None:
    body = (ROOT / "adaf.yaml").read_text()
    assert body.startswith("# yaml-language-server: $schema=adaf.schema.json\n")
    jsonschema.Draft202012Validator.check_schema(made)
    jsonschema.validate(yaml.safe_load(body), made)


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"deploi": {}}, []),
        ({"deploy": {"window": -1}}, ["deploy", "window"]),
        ({"deploy": {"probe": {"rat": 1}}}, ["deploy", "probe"]),
        ({"database": {"use": "postgres", "memory": 1}}, ["database"]),
        ({"apps": {"web": {"use": "nextjs", "entri": "x"}}}, ["apps", "web"]),
        ({"apps": {}}, ["apps"]),
    ],
)
def test_what_the_loader_refuses_the_editor_marks(made: dict[str, Any], change: dict[str, Any], at: list[str]) -> None:
    body = {"apps": {"web": {"use": "nextjs", "path": "web"}}, **change}
    with pytest.raises(jsonschema.ValidationError) as caught:
        jsonschema.validate(body, made)
    assert list(caught.value.absolute_path) == at


def test_a_backend_of_somebody_else_may_have_keys_of_its_own(made: dict[str, Any]) -> None:
    jsonschema.validate({"apps": {"web": "nextjs"}, "cache": {"use": "theirs", "size": 3}}, made)
