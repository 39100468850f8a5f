"""Every key that adaf.yaml has, by its schema: so a new key is tried as soon as it exists.

The oracle is the schema itself: what it refuses, the loader must refuse with path and hint; what it allows may be
refused for other reasons, and neither is ever a traceback.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from tried import CASES

from adaf_pipeline import config
from adaf_pipeline.errors import AdafError, PreconditionError
from adaf_pipeline.plugins import Registry, discover
from adaf_pipeline.schema import schema
from adaf_pipeline.stack import Stack
from adaf_pipeline.testing import fakes
from adaf_pipeline.testing.stack import FAKE
from adaf_pipeline.workflows import build

ODD: list[Any] = [None, True, 0, 7, -1, 1.5, -0.001, 10**12, 10**30, -(10**30), 1e308]
ODD += ["", " ", "nope!", "-", "a" * 5000, "../x", "/etc", "x\ny", "日本", "\x7f", "5", "null"]
ODD += [[], ["x"], [[]], [None], {}, {"x": 1}, {"": "x"}, {"A=B": "x"}, {"A": None}, {"9": "x"}]
OWN = ("own", "web")  # what a user may call a worker or a variable, and an application
Place = tuple[tuple[str, ...], str]  # where a key is, and the backend whose it is ("" = the core's)


def registry() -> Registry:
    made = discover()
    made.add("fakes", fakes)
    return made


REGISTRY = registry()
SCHEMA = schema(discover())


def keys() -> Iterator[tuple[Place, dict[str, Any]]]:
    """Every place of the file with the schema of what may stand there."""
    for name, at in SCHEMA["$defs"]["Core"]["properties"].items():
        yield from below(((name,), ""), at)


def below(place: Place, at: dict[str, Any]) -> Iterator[tuple[Place, dict[str, Any]]]:
    path, use = place
    yield place, {**at, "$defs": SCHEMA["$defs"]}
    at = SCHEMA["$defs"][at["$ref"].rpartition("/")[2]] if "$ref" in at else at
    for name, inner in at.get("properties", {}).items():
        yield from below(((*path, name), use), inner)
    for rule in at.get("allOf", ()):
        backend = rule["if"]["properties"]["use"]["const"]
        for name, inner in rule["then"]["properties"].items():
            yield from below(((*path, name), backend), inner)
    named = at.get("additionalProperties")
    if isinstance(named, dict):  # names of the user's own
        yield from below(((*path, OWN[path[-1] == "apps"]), use), named)


ALL = list(keys())


def spoken(place: Place) -> str:
    return "/".join(place[0]) + (f" of {place[1]}" if place[1] else "")


def base(place: Place) -> dict[str, Any]:
    """A file of fakes, in which only the backend of ``place`` is a real one."""
    tree: dict[str, Any] = yaml.safe_load(FAKE)
    path, use = place
    if use:
        section = tree["apps"] if path[0] == "apps" else tree
        name = path[1] if path[0] == "apps" else path[0]
        section[name] = {"use": use, **({"path": "app"} if path[0] == "apps" else {})}
    return tree


def put(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    holder = tree
    for part in path[:-1]:
        if not isinstance(holder.get(part), dict):
            holder[part] = {"use": holder[part]} if part in holder else {}
        holder = holder[part]
    holder[path[-1]] = value
    return tree


def open_all(file: Path, stack: str = "", environ: dict[str, str] | None = None) -> None:
    """Everything that a task would read from the file, down to the services."""
    opened = Stack(config.load(file, stack, environ), REGISTRY)
    for app in opened.apps.values():
        with contextlib.suppress(PreconditionError):  # there is no application in the folder
            build.check(opened, app)
        app.service("blue", 1, "r")
    for role in opened.backends.values():
        role.services()
    opened.services()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("checkout")
    (made / "app").mkdir()
    for entry in ("app.py", "server.js"):
        (made / "app" / entry).write_text("")
    return made


def refusal(checkout: Path, tree: Any) -> AdafError | None:
    """How it is refused; anything but an AdafError goes up: a traceback."""
    CASES["configurations"] += 1
    (checkout / "adaf.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True))
    try:
        open_all(checkout / "adaf.yaml")
    except AdafError as exc:
        assert exc.exit_code in (2, 3), exc
        assert exc.hint, exc
        return exc
    return None


@pytest.mark.parametrize(("place", "rules"), ALL, ids=[spoken(place) for place, _ in ALL])
def test_what_the_schema_refuses_is_refused_with_its_path(checkout: Path, place: Place, rules: dict[str, Any]) -> None:
    check = jsonschema.Draft202012Validator(rules)
    assert refusal(checkout, base(place)) is None or place[1] == "nextjs"
    for value in ODD:
        exc = refusal(checkout, put(base(place), place[0], value))
        if not check.is_valid(value):
            assert exc is not None, f"{spoken(place)}: {value!r:.60} was accepted"
            assert "/".join(place[0][:-1] if place[0][-1] == "use" else place[0]) in exc.message, value
            assert "adaf.yaml" in exc.message


@pytest.mark.parametrize(("place", "rules"), ALL, ids=[spoken(place) for place, _ in ALL])
def test_every_number_has_its_limits_and_every_text_a_form(place: Place, rules: dict[str, Any]) -> None:
    """Whether it is a port or a timeout: there is always a value that makes no sense."""
    kinds = rules.get("type"), *(one.get("type") for one in rules.get("anyOf", ()))
    check = jsonschema.Draft202012Validator(rules)
    if "integer" in kinds or "number" in kinds:
        assert not check.is_valid(10**30) and not check.is_valid(-(10**30)), "msgspec.Meta(ge=..., le=...)"
    if (
        "string" in kinds
        and place[0][-1] not in OWN
        and not {"enum", "pattern"} & set(rules)
        and rules.get("default") != ""
    ):
        assert not check.is_valid(""), "msgspec.Meta(min_length=1), or a pattern"


@pytest.mark.parametrize(("place", "rules"), [one for one in ALL if "pattern" in one[1]], ids=str)
def test_no_pattern_lets_a_line_break_pass(checkout: Path, place: Place, rules: dict[str, Any]) -> None:
    """`$` alone matches before the last one, and then it is in a path, a header or a file's name."""
    if rules["pattern"].startswith("^[^/]") or "default" not in rules:
        return
    exc = refusal(checkout, put(base(place), place[0], f"{rules['default']}\n"))
    assert exc is not None, "end it with config.END, or take config.UrlPath, Variable, ..."
    assert "/".join(place[0]) in exc.message


@pytest.mark.parametrize("place", [place for place, _ in ALL if len(place[0]) > 1 or not place[1]], ids=spoken)
def test_an_unknown_neighbour_is_told_from_the_key_that_was_meant(checkout: Path, place: Place) -> None:
    path = place[0]
    if path[-1] in OWN:
        return  # names of the user's own
    for wrong in (path[-1][:-1] + "zz", path[-1].upper(), "zzzzzz"):
        exc = refusal(checkout, put(base(place), (*path[:-1], wrong), 1))
        assert exc is not None
        assert f"adaf.yaml: {'/'.join((*path[:-1], wrong))}: unknown key" in exc.message
        assert exc.hint.startswith("known here: ")


@pytest.mark.parametrize(("place", "rules"), ALL, ids=[spoken(place) for place, _ in ALL])
def test_overlay_and_variable_are_named_as_the_file_is(checkout: Path, place: Place, rules: dict[str, Any]) -> None:
    check, path = jsonschema.Draft202012Validator(rules), place[0]
    (checkout / "adaf.yaml").write_text(yaml.safe_dump(base(place)))
    variable = "ADAF_" + "__".join(path).upper()
    taken_as_it_is = path[-1] in OWN and path[-2].endswith("environment")
    for value in (True, -(10**30), "nope!", ["x"], {"x": 1}):
        if check.is_valid(value):
            continue
        overlay: dict[str, Any] = {}
        (checkout / "adaf.prod.yaml").write_text(yaml.safe_dump(put(overlay, path, value)))
        tries = [("adaf.prod.yaml", "prod", {})] + [(variable, "", {variable: json.dumps(value)})] * (
            len(path) > 1 and not taken_as_it_is
        )
        for source, stack, environ in tries:
            CASES["configurations"] += 1
            with pytest.raises(AdafError) as caught:
                open_all(checkout / "adaf.yaml", stack, environ)
            assert caught.value.exit_code in (2, 3)
            assert caught.value.hint
            assert source in caught.value.message, (value, caught.value.message)
            assert "/".join(path[:-1] if path[-1] == "use" else path) in caught.value.message


NODE = {"use": "nextjs", "path": "app"}
PYTHON = {"use": "python", "path": "app"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"apps": None}, "apps"),
        ({"apps": {}}, "apps: no application"),
        ({"apps": {"web": {}}}, "apps/web/use"),
        ({"apps": {"web": {"use": "nope"}}}, "apps/web"),
        ({"apps": {"web": {"use": "fake", "path": "nope"}}}, "apps/web/path: no such folder"),
        ({"apps": {"web": {"use": "fake", "path": "adaf.yaml"}}}, "apps/web/path: no such folder"),
        ({"apps": {"web": {"use": "fake", "path": ["app"]}}}, "apps/web/path: expected"),
        ({"apps": {"web": {**PYTHON, "environment": {"A=B": "x"}}}}, "apps/web/environment/A=B"),
        ({"apps": {"web": {**PYTHON, "environment": {"A B": "x"}}}}, "apps/web/environment/A B"),
        ({"apps": {"web": {**PYTHON, "environment": {"9A": "x"}}}}, "apps/web/environment/9A"),
        ({"apps": {"web": {**PYTHON, "environment": {"A": 5}}}}, "apps/web/environment/A"),
        ({"apps": {"web": {**PYTHON, "environment": {"A": "x", "B": ["x"]}}}}, "apps/web/environment/B"),
        ({"apps": {"web": {**NODE, "environment": {"A=B": "x"}}}}, "apps/web/environment/A=B"),
        ({"apps": {"web": {**NODE, "build_environment": {"A-B": "x"}}}}, "apps/web/build_environment/A-B"),
        ({"apps": {"web": {**PYTHON, "ready": "nope"}}}, "apps/web/ready"),
        ({"apps": {"web": {**PYTHON, "live": "nope"}}}, "apps/web/live"),
        ({"apps": {"web": {**PYTHON, "port": "A=B"}}}, "apps/web/port"),
        ({"apps": {"web": {**PYTHON, "stop_grace": -1}}}, "apps/web/stop_grace"),
        ({"apps": {"web": {**PYTHON, "memory_mb": -1}}}, "apps/web/memory_mb"),
        ({"apps": {"web": {**NODE, "build_timeout": 10**9}}}, "apps/web/build_timeout"),
        ({"apps": {"web": {**PYTHON, "entry": "../x.py"}}}, "apps/web/entry"),
        ({"apps": {"web": {**PYTHON, "migrations": "/etc"}}}, "apps/web/migrations"),
        ({"deploy": {"steps": [50, 5]}}, "deploy/steps: [50, 5] does not rise"),
        ({"deploy": {"steps": [5, 5]}}, "deploy/steps: [5, 5] does not rise"),
        ({"deploy": {"steps": [0]}}, "deploy/steps/0"),
        ({"deploy": {"steps": [100]}}, "deploy/steps/0"),
        ({"deploy": {"window": 0}}, "deploy/window"),
        ({"deploy": {"max_windows": 0}}, "deploy/max_windows"),
        ({"deploy": {"keep": 1}}, "deploy/keep"),
        ({"deploy": {"tolerance": 0.5}}, "deploy/tolerance"),
        ({"deploy": {"absolute_limit": 1}}, "deploy/absolute_limit"),
        ({"deploy": {"probe": {"get": []}}}, "deploy/probe/get"),
        ({"deploy": {"probe": {"get": ["/", "x"]}}}, "deploy/probe/get/1"),
        ({"database": {"use": "postgres", "memory_mb": 5}}, "database/memory_mb: at least 64, or 0"),
        ({"database": {"use": "postgres", "database": "template0"}}, "database/database"),
        (
            {"proxy": {"use": "nginx", "port": 8080}, "database": {"use": "postgres", "port": 8080}},
            "proxy/port: 8080 is the port of database.1 as well",
        ),
        (
            {"cache": {"use": "redis", "port": 8080}, "database": {"use": "postgres", "port": 8080}},
            "cache/port: 8080 is the port of database.1 as well",
        ),
        ({"name": "Prod"}, "name"),
        ({"name": "a" * 32}, "name"),
        ({"name": "../x"}, "name"),
    ],
)
def test_what_does_not_go_together(checkout: Path, change: dict[str, Any], says: str) -> None:
    exc = refusal(checkout, {**yaml.safe_load(FAKE), **change})
    assert exc is not None
    assert says in exc.message
    assert exc.message.startswith("adaf.yaml: ")
