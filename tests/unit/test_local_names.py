"""Names of stacks whose directory would be where the local runtime keeps something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from adaf_local.backend import Local, Settings
from adaf_pipeline import config
from adaf_pipeline.errors import ConfigError
from adaf_pipeline.host import places
from adaf_pipeline.plugins import Registry
from adaf_pipeline.stack import Stack


@pytest.mark.parametrize("name", ["tools", "blocks", "local-0123456789"])
def test_a_purge_never_deletes_what_all_stacks_share_or_another_checkouts_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(places, "ROOT_STATE", tmp_path / "state")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "adaf.yaml").write_text("apps: {web: {use: node}}\n")
    (tmp_path / f"adaf.{name}.yaml").write_text("deploy: {bake: 5}\n")
    stack = Stack(config.load(tmp_path / "adaf.yaml", name), Registry())
    with pytest.raises(ConfigError, match=rf"adaf\.{name}\.yaml: name: {name} is the name of a folder"):
        _ = Local(Settings(), stack).state
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("name", ["local", "tools-2", "blocks1", "local-012345678", "local-prod", "production"])
def test_every_other_name_is_a_name(name: str) -> None:
    assert not places.is_taken(name)
