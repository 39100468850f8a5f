"""Images on a real engine: what a build that fails leaves to read, and that what is in use can be forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest
from engines import OURS, docker, say
from prod import BASE, Prod

from adaf_compose.images import Images
from adaf_compose.program import Program
from adaf_pipeline.errors import ServiceError

FAILS = {
    "a command": ("RUN echo first; ls /nowhere", "returned a non-zero code: 2"),
    "a file": ("COPY nothing /", "COPY failed"),
    "a word": ("WHAT is this", "unknown instruction: WHAT"),
}


@pytest.mark.parametrize("kind", FAILS)
def test_a_build_that_fails_names_the_file_that_has_all_of_it(images: list[str], tmp_path: Path, kind: str) -> None:
    line, reason = FAILS[kind]
    (tmp_path / "thing").mkdir()
    file = tmp_path / "thing" / "Dockerfile"
    file.write_text(f"FROM {BASE}\n{line}\n")
    built = Images(Program(), tmp_path, {}, OURS, tmp_path / "said")
    with pytest.raises(ServiceError, match=r"image adaf/thing:\w+: cannot be built: ") as failed:
        built.ensure(["thing"], say)
    assert reason in failed.value.message and "\n" not in failed.value.message
    log = tmp_path / "said" / "thing.log"
    assert log.exists() == (kind != "a word") == (str(log) in failed.value.hint)
    if kind == "a command":
        text = log.read_text()
        assert "first\n" in text and "\nls: " in text and log.stat().st_mode & 0o777 == 0o600
        assert set(failed.value.detail) <= set(text.splitlines())
        file.write_text(f"FROM {BASE}\n")
        again = Images(Program(), tmp_path, {}, OURS, tmp_path / "said")
        again.ensure(["thing"], say)
        assert not log.exists()
        docker("image", "rm", again.tag("thing"))


def test_the_image_of_a_release_that_runs_can_be_forgotten(prod: Prod) -> None:
    """The container keeps it, and the next one is of an image that is made anew."""
    release, colour = prod.live()
    with prod.opened() as stack:
        for _ in range(2):
            stack.runtime.discard(release)
    assert not docker("image", "ls", "-q", f"adaf/{prod.name}:{release}")
    assert prod.get() == (200, release)
    docker("rm", "-f", f"{prod.name}-web-{colour}-1-1")
    prod.ok("up")
    prod.whole()
    assert prod.get() == (200, release)
