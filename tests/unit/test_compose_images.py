"""What an image is called and built from, without an engine."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from adaf_compose import images, program
from adaf_compose.images import SHIPPED, Images
from adaf_pipeline.errors import PreconditionError


def made(folder: Path = SHIPPED, **bases: str) -> Images:
    return Images(cast(Any, None), folder, bases, "shop", Path("/nowhere"))


def test_each_of_ours_names_its_base_first_and_a_number_as_its_user() -> None:
    for file in SHIPPED.glob("*/Dockerfile"):
        said = file.read_text()
        assert said.startswith("ARG BASE_IMAGE\n"), file
        assert [line for line in said.splitlines() if line.startswith("USER 1000")], file


def test_a_tag_follows_the_folder_and_the_bases_that_it_asks_for() -> None:
    plain = made()
    assert made(BASE_IMAGE="other").tag("redis") != plain.tag("redis")
    assert made(NODE_IMAGE="other").tag("redis") == plain.tag("redis")
    assert made(NODE_IMAGE="other").tag("dashboard") != plain.tag("dashboard")


def test_without_a_word_the_bases_are_public_ones_by_digest() -> None:
    given = made()._arguments("dashboard")
    assert set(given) == {"BASE_IMAGE", "NODE_IMAGE"}
    assert all("@sha256:" in base for base in given.values())
    assert made(BASE_IMAGE="mine")._arguments("redis") == {"BASE_IMAGE": "mine"}


def test_an_image_that_has_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PreconditionError, match="no Dockerfile of the image redis"):
        made(tmp_path).tag("redis")


@pytest.mark.parametrize(("mode", "wanted"), [(0o4755, 0o755), (0o600, 0o644), (0o777, 0o755), (0o664, 0o644)])
def test_a_release_is_roots_and_readable(tmp_path: Path, mode: int, wanted: int) -> None:
    file = tmp_path / "file"
    file.touch()
    file.chmod(mode)
    with tarfile.open(fileobj=io.BytesIO(), mode="w") as tar:
        entry = images._roots(tar.gettarinfo(file))
    assert (entry.mode, entry.uid, entry.gid) == (wanted, 0, 0)


def test_an_old_engine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("docker.DockerClient", lambda **_: SimpleNamespace(api=SimpleNamespace(api_version="1.43")))
    with pytest.raises(PreconditionError, match=r"has the API 1\.43"):
        _ = program.Program().client
