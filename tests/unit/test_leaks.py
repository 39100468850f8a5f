"""No known secret gets into a release: neither by what it is built with, nor by what is built."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest
from deploy_world import change, deploy

from adaf_pipeline.engine import Engine
from adaf_pipeline.requests import BuildRequest
from adaf_pipeline.stack import Stack
from adaf_pipeline.testing.app import FakeApp
from adaf_pipeline.testing.secrets import FakeSecrets
from adaf_pipeline.workflows import leaks
from adaf_pipeline.workflows.releases import Releases

SECRET = "s3cret/with+signs=="


def plant(stack: Stack, **secrets: str) -> None:
    cast(FakeSecrets, stack.secrets).values.update(secrets)


def refused(stack: Stack) -> tuple[str, int]:
    error = Engine(stack).run(BuildRequest()).error
    assert error is not None and error.hint
    return error.message, error.exit_code


@pytest.mark.parametrize("spelled", [SECRET, "s3cret%2Fwith%2Bsigns%3D%3D"])
def test_a_bundle_with_a_secret_is_no_release(stack: Stack, spelled: str) -> None:
    plant(stack, mail=SECRET)
    change(stack, f"fetch('https://api?key={spelled}')\n")
    assert refused(stack) == ("web: main.txt holds the secret mail", 1)
    assert not list(Releases(stack.state).all())
    document = deploy(stack).document
    assert not document["ok"] and "holds the secret mail" in document["error"]
    change(stack, "clean\n")
    assert Engine(stack).run(BuildRequest()).document["ok"]


def test_a_secret_that_it_is_built_with_is_refused_before_the_build(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(stack, mail=SECRET)

    def toolchain(_app: FakeApp) -> Mapping[str, str]:
        return {"env NEXT_PUBLIC_KEY": f"key={SECRET}"}

    monkeypatch.setattr(FakeApp, "toolchain", toolchain)
    assert refused(stack) == ("apps/web: it is built with the secret mail (env NEXT_PUBLIC_KEY)", 2)
    assert cast(FakeApp, stack.apps["web"]).builds == 0
    assert not deploy(stack).document["ok"]


def test_every_file_is_looked_at_and_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text(SECRET)
    folder = tmp_path / "made"
    (folder / "deep/er").mkdir(parents=True)
    (folder / "deep/er/bundle.js").write_bytes(b"\0\xff" + SECRET.encode() + b"\n")
    (folder / "deep/other").write_text("12345678")
    (folder / "empty").touch()
    (folder / "link").symlink_to(outside)
    (folder / "gone").symlink_to("nowhere")
    assert list(leaks.holders(folder, {"mail": SECRET, "pin": "12345678", "absent": "nowhere to be found"})) == [
        ("deep/other", "pin"),
        ("deep/er/bundle.js", "mail"),
    ]


def test_short_values_are_not_looked_for(stack: Stack) -> None:
    plant(stack, pin="1234", mail=SECRET)
    assert leaks.known(stack) == {"mail": SECRET}
