"""Whatever the file holds: a Config, or one clear error."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adaf_pipeline import config, yamlfile
from adaf_pipeline.errors import ConfigError

GOOD = "apps: {web: nextjs}\n"
LOADED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (GOOD + "deploy: {bake: 1, bake: 2}\n", r"adaf.yaml:2:19: deploy/bake: said twice, first in line 2"),
        (GOOD + "cache: redis\ncache: redis\n", r"adaf.yaml:3:1: cache: said twice, first in line 2"),
        ("a: &x [1]\nb: *x\n", r"adaf.yaml:2:4: \*x: aliases are not read"),
        (GOOD + "---\n" + GOOD, "adaf.yaml:2:1: a second document"),
        ("[" * 100, "adaf.yaml:1:51: nested more than 50 deep"),
        ("[" * 100_000, "adaf.yaml:1:.*nest"),
        (GOOD + "on: 1\n", "the file: the key on is not text"),
        (GOOD + "deploy: {window: .nan}\n", "deploy/window: .nan is no number to work with"),
        (GOOD + "deploy: {bake: -.INF}\n", "deploy/bake: -.INF is no number to work with"),
        ("[]\n", "the file: expected `object`|the file: expected"),
        ("0\n", "the file: expected"),
        (GOOD + "#" * 1_000_001, "adaf.yaml: more than a megabyte"),
        (GOOD + "x: \x01\n", "adaf.yaml: not YAML"),
    ],
)
def test_each_has_its_place_and_a_hint(tmp_path: Path, body: str, message: str) -> None:
    (tmp_path / "adaf.yaml").write_text(body)
    with pytest.raises(ConfigError, match=message) as caught:
        config.load(tmp_path / "adaf.yaml")
    assert caught.value.hint


def test_a_folder_and_what_is_not_utf8(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        config.load(tmp_path)
    (tmp_path / "adaf.yaml").write_bytes(b"apps: \xff\n")
    with pytest.raises(ConfigError, match="cannot be read: not UTF-8 text"):
        config.load(tmp_path / "adaf.yaml")


@LOADED
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "adaf.yaml").write_bytes(body)
    with contextlib.suppress(ConfigError):
        config.load(tmp_path / "adaf.yaml")


@LOADED
@given(st.sampled_from(["apps", "deploy", "name", "runtime", "cache", "other"]), PLAIN)
def test_any_value_under_any_key(tmp_path: Path, key: str, value: object) -> None:
    (tmp_path / "adaf.yaml").write_text(yaml.safe_dump({"apps": {"web": "nextjs"}, key: value}))
    with contextlib.suppress(ConfigError):
        config.load(tmp_path / "adaf.yaml")


def test_a_day_is_text_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "adaf.yaml"
    file.write_text("until: 2027-01-31\nat: 2027-01-31 10:00:00\nwrong: 2027-99-99\n")
    assert yamlfile.read(file) == {"until": "2027-01-31", "at": "2027-01-31 10:00:00", "wrong": "2027-99-99"}
