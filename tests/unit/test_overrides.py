"""ADAF_A__B: which key a variable means, what its value is, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adaf_pipeline import config
from adaf_pipeline.errors import ConfigError

BODY = """
apps: {my-app: {use: nextjs, environment: {nodeOptions: x}}}
database: postgres
deploy: {bake: 7}
"""
ANY = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "adaf.yaml"
    made.write_text(BODY)
    (tmp_path / "adaf.prod.yaml").write_text("deploy: {bake: 8, window: 9}\n")
    return made


def load(file: Path, stack: str = "", **environ: str) -> config.Config:
    return config.load(file, stack, environ)


def test_file_overlay_variable_the_later_wins(file: Path) -> None:
    assert load(file).deploy.bake == 7
    assert load(file, "prod").deploy.bake == 8
    assert load(file, "prod", ADAF_DEPLOY__BAKE="9.5").deploy.bake == 9.5
    assert load(file, "prod", ADAF_DEPLOY__BAKE="9.5").deploy.window == 9


def test_values_are_yaml_in_one_piece(file: Path) -> None:
    found = load(
        file, ADAF_DEPLOY__STEPS="[5, 50]", ADAF_DEPLOY__PROBE="{rate: 3, post: /x}", ADAF_DEPLOY__PROBE__RATE="4"
    )
    assert found.deploy.steps == (5, 50)
    assert (found.deploy.probe.rate, found.deploy.probe.post) == (4, "/x")  # the longer path is above the shorter
    assert load(file, ADAF_DEPLOY__ON_DOUBT="continue").deploy.on_doubt == "continue"
    assert load(file, ADAF_DEPLOY__PROBE__POST="''").deploy.probe.post == ""


def test_nothing_is_the_default_again_and_empty_is_not_set(file: Path) -> None:
    assert load(file, ADAF_DEPLOY__BAKE="null").deploy.bake == 20
    assert load(file, ADAF_DEPLOY__BAKE="~").deploy.bake == 20
    assert load(file, ADAF_DEPLOY__BAKE="", ADAF_NO__SUCH="").deploy.bake == 7


def test_sections_that_are_a_name_and_sections_that_are_not_there(file: Path) -> None:
    found = load(file, ADAF_DATABASE__MEMORY_MB="256", ADAF_CACHE__MEMORY_MB="64", ADAF_RUNTIME__USE="other")
    assert found.roles["database"] == config.Section("database", "postgres", {"memory_mb": 256})
    assert found.roles["cache"] == config.Section("cache", "redis", {"memory_mb": 64})
    assert found.roles["runtime"].use == "other"


def test_names_of_the_users_own_are_found_whatever_their_case_and_dashes(file: Path) -> None:
    found = load(
        file,
        ADAF_APPS__MY_APP__ENVIRONMENT__NODEOPTIONS="kept as it is",
        ADAF_APPS__MY_APP__ENVIRONMENT__A__b="007: yes",
        ADAF_APPS__MY_APP__READY_TIMEOUT="5",
    )
    assert found.apps["my-app"].raw == {
        "environment": {"nodeOptions": "x", "NODEOPTIONS": "kept as it is", "A__b": "007: yes"},
        "ready_timeout": 5,
    }
    found = load(file, ADAF_APPS__MY_APP__ENVIRONMENT="{nodeOptions: y, B: '1'}")
    assert found.apps["my-app"].raw["environment"] == {"nodeOptions": "y", "B": "1"}


def test_a_single_name_is_somebody_elses(file: Path) -> None:
    others = {"ADAF_TOOLS": "x", "ADAF_RELEASE": "x", "ADAF_BAKE": "x", "adaf_deploy__bake": "x", "XADAF_A__B": "x"}
    assert load(file, **others) == load(file)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("ADAF_DEPLOY__BAEK", "5", 'ADAF_DEPLOY__BAEK: deploy/baek: unknown key, did you mean "bake"?'),
        ("ADAF_DEPLOI__BAKE", "5", 'ADAF_DEPLOI__BAKE: deploi: unknown key, did you mean "deploy"?'),
        ("ADAF_DEPLOY__BAKE", "soon", 'ADAF_DEPLOY__BAKE: deploy/bake: expected "float", got "str"'),
        ("ADAF_DEPLOY__BAKE", "-1", 'ADAF_DEPLOY__BAKE: deploy/bake: expected "float" >= 0.0'),
        ("ADAF_DEPLOY__BAKE", "[1, 2", "ADAF_DEPLOY__BAKE:2:1: deploy/bake: not YAML:"),
        ("ADAF_DEPLOY__BAKE", "a: 1", "ADAF_DEPLOY__BAKE: deploy/bake: not one value"),
        ("ADAF_DEPLOY__BAKE", "- 1", "ADAF_DEPLOY__BAKE: deploy/bake: not one value"),
        ("ADAF_DEPLOY__BAKE", "1\n---\n2", "ADAF_DEPLOY__BAKE:2:1: deploy/bake: a second document"),
        ("ADAF_DEPLOY__BAKE", "[" * 60, "ADAF_DEPLOY__BAKE:1:51: deploy/bake: nested more than 50 deep"),
        ("ADAF_DEPLOY__BAKE", ".inf", "ADAF_DEPLOY__BAKE:1:1: deploy/bake: .inf is no number"),
        ("ADAF_DEPLOY__BAKE", "{a: 1, a: 2}", "ADAF_DEPLOY__BAKE:1:8: deploy/bake/a: said twice"),
        ("ADAF_DEPLOY__BAKE", "\udcff", "ADAF_DEPLOY__BAKE: deploy/bake: not UTF-8"),
        ("ADAF_DEPLOY__BAKE", "9" * 5000, "ADAF_DEPLOY__BAKE: deploy/bake: a value cannot be read"),
        ("ADAF_DEPLOY__BAKE", "x" * 1_000_001, "ADAF_DEPLOY__BAKE: deploy/bake: more than a megabyte"),
        ("ADAF_DEPLOY__STEPS__0", "5", 'ADAF_DEPLOY__STEPS__0: deploy/steps: expected "array", got "object"'),
        ("ADAF_DEPLOY__STEPS", "[50, 5]", "ADAF_DEPLOY__STEPS: deploy/steps: [50, 5] does not rise"),
        ("ADAF_APPS__OTHER__PATH", ".", "ADAF_APPS__OTHER__PATH: apps/other/use: which backend?"),
        ("ADAF_APPS__NO_NAME__USE", "x", "ADAF_APPS__NO_NAME__USE: apps/no_name: not a name"),
        ("ADAF_DEPLOY__", "5", "'ADAF_DEPLOY__': not a path of adaf.yaml"),
        ("ADAF___BAKE", "5", "'ADAF___BAKE': not a path of adaf.yaml"),
        ("ADAF_DEPLOY____BAKE", "5", "'ADAF_DEPLOY____BAKE': not a path of adaf.yaml"),
        ("ADAF_A" + "__A" * 500, "5", "'ADAF_A__A"),
        ("ADAF_DATABASE__USE", "{}", "ADAF_DATABASE__USE: database/use: which backend?"),
    ],
)
def test_a_mistake_names_the_variable_and_the_path(file: Path, variable: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(file, environ={variable: value})
    assert caught.value.message.startswith(message)
    assert caught.value.hint


def test_two_spellings_of_one_path_are_refused(file: Path) -> None:
    with pytest.raises(ConfigError, match="ADAF_DEPLOY__bake: deploy/bake: ADAF_DEPLOY__BAKE says it as well"):
        load(file, ADAF_DEPLOY__BAKE="1", ADAF_DEPLOY__bake="2")


PART = st.sampled_from(["DEPLOY", "BAKE", "PROBE", "APPS", "MY_APP", "ENVIRONMENT", "USE", "CACHE", "NAME"])
VARIABLE = st.lists(PART | st.text(max_size=4), min_size=1, max_size=5).map("__".join).map("ADAF_{}".format)


@ANY
@given(
    st.dictionaries(VARIABLE, st.text(max_size=12) | st.sampled_from(["1", "[1]", "{a: 1}", "x", "null"]), max_size=4)
)
def test_any_variable_and_any_value(file: Path, environ: dict[str, str]) -> None:
    try:
        config.load(file, environ=environ)
    except ConfigError as exc:
        assert exc.hint
        assert "ADAF_" in exc.message or exc.message.startswith("adaf.yaml: apps/my-app: one application")
