"""A stack's overlay over adaf.yaml: what merges, what replaces, and who is named when it is wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adaf_pipeline import config, stack
from adaf_pipeline.errors import ConfigError

BASE = """
name: base
apps: {web: {use: nextjs, path: web, environment: {A: one, B: two}}}
database: {use: postgres, memory_mb: 512}
deploy: {steps: [10, 20], bake: 7, probe: {rate: 5, post: /p}}
"""
ANY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def load(folder: Path, overlay: str, base: str = BASE, name: str = "prod") -> config.Config:
    (folder / "adaf.yaml").write_text(base)
    (folder / f"adaf.{name}.yaml").write_text(overlay)
    return config.load(folder / "adaf.yaml", name)


def refused(folder: Path, overlay: str, base: str = BASE) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(folder, overlay, base)
    assert caught.value.hint
    return caught.value


def test_mappings_merge_and_everything_else_replaces(tmp_path: Path) -> None:
    found = load(tmp_path, "deploy: {steps: [1], probe: {rate: 9}}\napps: {web: {environment: {B: 2nd, C: three}}}\n")
    assert found.deploy.steps == (1,)
    assert (found.deploy.bake, found.deploy.probe.rate, found.deploy.probe.post) == (7, 9, "/p")
    assert found.apps["web"].raw == {"path": "web", "environment": {"A": "one", "B": "2nd", "C": "three"}}


def test_the_stack_has_the_name_of_its_overlay_or_the_one_the_overlay_declares(tmp_path: Path) -> None:
    assert load(tmp_path, "").name == "prod"
    assert load(tmp_path, "# nothing but a comment\n").name == "prod"
    assert load(tmp_path, "name: production\n").name == "production"
    assert load(tmp_path, "name:\n").name == "prod"
    assert config.load(tmp_path / "adaf.yaml").name == "base"
    assert config.load(tmp_path / "adaf.yaml", "base").name == "base"  # the file's own name needs no overlay


def test_nothing_takes_away_what_was_said_below(tmp_path: Path) -> None:
    found = load(tmp_path, "deploy: {bake: null, probe: }\ndatabase: null\napps: {web: {environment: {A: ~, D: d}}}\n")
    assert (found.deploy.bake, found.deploy.probe.rate, found.deploy.steps) == (20, 50, (10, 20))
    assert found.roles["database"] == config.Section("database", "postgres", {})
    assert found.apps["web"].raw["environment"] == {"B": "two", "D": "d"}
    assert load(tmp_path, "deploy: {probe: {rate: 2}, bake: }", "apps: {web: nextjs}").deploy.probe.rate == 2


def test_a_name_is_short_for_a_mapping_and_another_backend_starts_anew(tmp_path: Path) -> None:
    assert load(tmp_path, "database: postgres\n").roles["database"].raw == {"memory_mb": 512}
    assert load(tmp_path, "database: {port: 1}\n").roles["database"].raw == {"memory_mb": 512, "port": 1}
    assert load(tmp_path, "database: theirs\n").roles["database"] == config.Section("database", "theirs", {})
    other = load(tmp_path, "database: {use: theirs, port: 1}\napps: {web: {use: python}}\n")
    assert other.roles["database"] == config.Section("database", "theirs", {"port": 1})
    assert other.apps["web"] == config.Section("apps/web", "python", {})
    found = load(tmp_path, "cache: {memory_mb: 64}\n")  # adaf.yaml does not name it: the default's settings
    assert found.roles["cache"] == config.Section("cache", "redis", {"memory_mb": 64})


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ("deploy: {windo: 1}", 'adaf.prod.yaml: deploy/windo: unknown key, did you mean "window"?'),
        ("deploy: {bake: soon}", "adaf.prod.yaml: deploy/bake: expected"),
        ("deploy: {steps: [50, 5]}", "adaf.prod.yaml: deploy/steps: [50, 5] does not rise"),
        ("deploy: 5", "adaf.prod.yaml: deploy: expected"),
        ("apps: {other: nextjs}", "adaf.yaml: apps/web: one application a stack"),
        ("apps: {other: {path: x}}", "adaf.prod.yaml: apps/other/use: which backend?"),
        ("name: No", "adaf.prod.yaml: name: expected"),
        ("database: [x]", "adaf.prod.yaml: database: expected a backend's name or a mapping, got a list"),
        ("- a", "adaf.prod.yaml: the file: expected a mapping"),
        ("a: [1\nb: 2", "adaf.prod.yaml:2:2: not YAML:"),
        ("a: 1\na: 2", "adaf.prod.yaml:2:1: a: said twice"),
    ],
)
def test_a_mistake_names_the_overlay(tmp_path: Path, overlay: str, message: str) -> None:
    assert refused(tmp_path, overlay).message.startswith(message)


def test_a_mistake_of_the_file_still_names_the_file(tmp_path: Path) -> None:
    said = refused(tmp_path, "deploy: {bake: 5}", BASE.replace("rate: 5", "rate: none")).message
    assert said.startswith("adaf.yaml: deploy/probe/rate: expected")
    assert refused(tmp_path, "deploy: {bake: 5}", "- a").message.startswith("adaf.yaml: the file: expected")


def test_an_unknown_stack_lists_the_overlays_there_are(tmp_path: Path) -> None:
    file = tmp_path / "adaf.yaml"
    file.write_text("apps: {web: nextjs}\n")
    for name in ("adaf.prod.yaml", "adaf.Bad name.yaml", "adaf.yaml.bak", "adaf..yaml"):
        (tmp_path / name).touch()
    for wrong in ("none", "../prod", "PROD", "pr\nod", "a" * 40):
        with pytest.raises(ConfigError) as caught:
            config.load(file, wrong, said_by="ADAF_STACK")
        assert caught.value.message.startswith("ADAF_STACK: ")
        assert caught.value.hint == "there are: prod"
    (tmp_path / "adaf.prod.yaml").unlink()
    with pytest.raises(ConfigError, match=r"--stack: prod: no overlay adaf\.prod\.yaml") as caught:
        config.load(file, "prod")
    assert caught.value.hint == f"{tmp_path} has none"


def test_the_flag_wins_over_the_variable_and_a_file_of_another_name_has_overlays_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my.yaml").write_text("apps: {web: nextjs}\n")
    (tmp_path / "my.one.yaml").write_text("deploy: {bake: 1}\n")
    (tmp_path / "my.two.yaml").write_text("deploy: {bake: 2}\n")
    monkeypatch.setenv("ADAF_CONFIG", str(tmp_path / "my.yaml"))
    monkeypatch.setenv("ADAF_STACK", "one")
    assert stack.open_stack().config.deploy.bake == 1
    assert stack.open_stack("two").config.deploy.bake == 2
    monkeypatch.setenv("ADAF_DEPLOY__BAKE", "3")
    opened = stack.open_stack("two")
    assert (opened.name, opened.config.deploy.bake, opened.identity()["deploy"]["bake"]) == ("two", 3, 3)


def test_what_a_backend_refuses_names_who_said_it(tmp_path: Path) -> None:
    found = load(tmp_path, "apps: {web: {entry: x.js}}\n")
    assert found.blame(ConfigError("apps/web/entry: no", "h")).message == "adaf.prod.yaml: apps/web/entry: no"
    assert found.blame(ConfigError("apps/web/path: no", "h")).message == "adaf.yaml: apps/web/path: no"
    assert found.blame(ConfigError("apps/webs: no", "h")).message == "apps/webs: no"


KEYS = st.sampled_from(["apps", "web", "use", "deploy", "steps", "probe", "rate", "cache", "name", "x", "A"])
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(min_size=1, max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


def below(tree: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    if not isinstance(tree, dict):
        return {path: tree}
    return {k: v for key, value in tree.items() for k, v in below(value, (*path, key)).items()}


@ANY
@given(st.dictionaries(KEYS, PLAIN, max_size=4), st.dictionaries(KEYS, PLAIN, max_size=4))
def test_any_two_trees(tmp_path: Path, base: dict[str, Any], over: dict[str, Any]) -> None:
    base.setdefault("apps", {"web": "nextjs"})
    try:
        load(tmp_path, yaml.safe_dump(over), yaml.safe_dump(base))
    except ConfigError as exc:
        assert exc.hint
        assert exc.message.startswith(("adaf.yaml", "adaf.prod.yaml"))


@ANY
@given(st.dictionaries(KEYS, PLAIN, max_size=4), st.dictionaries(KEYS, PLAIN, max_size=4))
def test_what_the_overlay_says_holds_and_the_rest_stays(base: dict[str, Any], over: dict[str, Any]) -> None:
    from copy import deepcopy

    from adaf_pipeline import overlays

    merged, sources = deepcopy(base), overlays.Sources("adaf.yaml")
    overlays.put(merged, deepcopy(over), "over", sources, {})
    said, result = below(over), below(merged)
    overlays.spell_out(spelt := deepcopy(over), {})
    for path, value in below(spelt).items():
        if value is not None:
            assert result[path] == value
            assert sources.of("/".join(path)) == "over" or any("/" in part or not part for part in path)
    for path, value in result.items():
        if not any(path[: len(p)] == p[: len(path)] for p in said):
            assert below(base)[path] == value


def test_the_page_on_configuration_is_true(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    (overlay,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    base = "apps: {web: nextjs}\ncache: {use: redis, memory_mb: 32}\n"
    found = load(tmp_path, overlay, base)
    assert (found.name, found.deploy.bake, found.deploy.probe.rate) == ("production", 300, 20)
    assert (found.roles["proxy"].raw, found.roles["cache"].raw) == ({"port": 8080}, {})
    (tmp_path / "adaf.staging.yaml").touch()
    wrong: list[tuple[str, str, dict[str, str]]] = [
        ("deploy: {windo: 1}", "prod", {}),
        ("", "prod", {"ADAF_DEPLOY__BAKE": "soon"}),
        ("", "prd", {}),
    ]
    said = re.findall(r"    error: (.*)\n    hint: (.*)\n", page)
    assert len(said) == len(wrong)
    for (error, hint), (body, name, environ) in zip(said, wrong, strict=True):
        (tmp_path / "adaf.prod.yaml").write_text(body)
        with pytest.raises(ConfigError) as caught:
            config.load(tmp_path / "adaf.yaml", name, environ)
        assert caught.value.message == error
        assert caught.value.hint.startswith(hint.removesuffix("..."))
