"""adaf.yaml: every mistake gets a path and a way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from adaf_pipeline import config
from adaf_pipeline.errors import ConfigError

APPS = "apps: {web: {use: nextjs, path: web}}\n"


def load(tmp_path: Path, body: str) -> config.Config:
    file = tmp_path / "adaf.yaml"
    file.write_text(body)
    return config.load(file)


def refused(tmp_path: Path, body: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, body)
    assert caught.value.exit_code == 2
    assert caught.value.hint
    return caught.value


def test_defaults_need_only_an_application(tmp_path: Path) -> None:
    found = load(tmp_path, APPS)
    assert found.roles["balancer"].use == "haproxy"
    assert found.apps["web"].raw == {"path": "web"}
    assert found.deploy.steps == (5, 25, 50)
    assert (found.deploy.window, found.deploy.bake, found.deploy.on_doubt) == (20, 20, "rollback")


def test_a_role_is_a_name_or_a_mapping_with_use(tmp_path: Path) -> None:
    found = load(tmp_path, APPS + "proxy: {use: traefik, port: 80}\n")
    assert found.roles["proxy"] == config.Section("proxy", "traefik", {"port": 80})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", 'adaf.yaml: the file: object missing required field "apps"'),
        ("apps: {}", "apps: no application"),
        ("- a", "adaf.yaml: the file: expected"),
        (APPS + "deploi: {}", 'adaf.yaml: deploi: unknown key, did you mean "deploy"?'),
        (APPS + "deploy: {windo: 3}", 'adaf.yaml: deploy/windo: unknown key, did you mean "window"?'),
        (APPS + "deploy: {probe: {rat: 3}}", 'adaf.yaml: deploy/probe/rat: unknown key, did you mean "rate"?'),
        (APPS + "deploy: {window: soon}", "adaf.yaml: deploy/window: expected"),
        (APPS + "deploy: {steps: [5, 120]}", "adaf.yaml: deploy/steps/1: expected `float` < 100".replace("`", '"')),
        (APPS + "deploy: {steps: [50, 5]}", "adaf.yaml: deploy/steps: [50, 5] does not rise"),
        (APPS + "deploy: {on_doubt: hope}", "adaf.yaml: deploy/on_doubt: invalid enum value 'hope'"),
        (APPS + "proxy: {use: 80}", "adaf.yaml: proxy/use: which backend?"),
        (APPS + "proxy: [80]", "adaf.yaml: proxy: expected a backend's name or a mapping, got a list"),
        ("apps: {Web!: {use: x}}", "adaf.yaml: apps/Web!: not a name"),
        ("apps: {web: {path: x}}", "adaf.yaml: apps/web/use: which backend?"),
        ("apps: {a: x, b: x}", "adaf.yaml: apps/b: one application a stack for now"),
        (APPS + "name: 'My Stack'", "adaf.yaml: name: expected"),
        ("a: [1\nb: 2", "adaf.yaml:2:2: not YAML:"),
        ("a: 2001-99-99", "adaf.yaml: a: unknown key"),
    ],
)
def test_mistakes_say_where_and_what(tmp_path: Path, body: str, message: str) -> None:
    assert message in refused(tmp_path, body).message


def test_a_section_without_a_backend_is_of_the_default_one(tmp_path: Path) -> None:
    (tmp_path / "adaf.yaml").write_text(APPS + "proxy: {port: 8080}\ncache: {}\n")
    (tmp_path / "adaf.prod.yaml").write_text("proxy: {drain: 3}\ncache: {use: theirs}\n")
    here, prod = config.load(tmp_path / "adaf.yaml"), config.load(tmp_path / "adaf.yaml", "prod")
    assert (here.roles["proxy"].use, here.roles["proxy"].raw) == ("nginx", {"port": 8080})
    assert (prod.roles["proxy"].use, prod.roles["proxy"].raw) == ("nginx", {"port": 8080, "drain": 3})
    assert (here.roles["cache"].use, prod.roles["cache"].use) == ("redis", "theirs")


def test_a_missing_unreadable_or_binary_file_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not found"):
        config.load(tmp_path / "none.yaml")
    (tmp_path / "adaf.yaml").mkdir()
    with pytest.raises(ConfigError, match="Is a directory"):
        config.load(tmp_path / "adaf.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        config.load(tmp_path / "b.yaml")


def test_the_file_is_found_in_a_folder_above_or_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ADAF_CONFIG", raising=False)
    (tmp_path / "adaf.yaml").write_text(APPS)
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert config.find(tmp_path / "a" / "b") == tmp_path / "adaf.yaml"
    monkeypatch.setenv("ADAF_CONFIG", str(tmp_path / "other.yaml"))
    assert config.find(tmp_path) == tmp_path / "other.yaml"


def test_a_backends_settings_are_checked_under_their_path(tmp_path: Path) -> None:
    found = load(tmp_path, APPS + "proxy: {use: nginx, prot: 80}\n")

    class Settings(config.Settings, frozen=True):
        port: int = 0

    with pytest.raises(ConfigError, match=r'adaf.yaml: proxy/prot: unknown key, did you mean "port"\?') as caught:
        found.settings(found.roles["proxy"], Settings)
    assert "known here: port" in caught.value.hint
