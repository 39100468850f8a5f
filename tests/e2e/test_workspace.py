"""A Next.js application in a pnpm workspace, by configuration alone: the page's own text, built and really run."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator

import pytest
from documented import Documented, deployed

from adaf_nextjs import network, pnpm, tools


def lock(made: Documented) -> None:
    """`pnpm install --lockfile-only`, with the pnpm that package.json names."""
    version = json.loads((made.folder / "package.json").read_text())["packageManager"].removeprefix("pnpm@")
    folder = tools.folder(made.state())
    node = tools.find_node(folder, None)
    program = pnpm.get(version, folder, node, None, lambda _line: None)
    # a store of its own: root's folders in the stacks' would keep the building account out of it
    with tempfile.TemporaryDirectory(prefix="adaf-test-store-") as store:
        words = [str(program), "install", "--lockfile-only", "--store-dir", store]
        env = {"PATH": tools.search_path(node), "HOME": str(made.folder), "CI": "1", **network.environment()}
        (made.folder / ".npmrc").write_text(network.npmrc())
        done = subprocess.run(words, cwd=made.folder, env=env, capture_output=True, text=True, timeout=300, check=False)
        (made.folder / ".npmrc").unlink()
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def site() -> Iterator[Documented]:
    with deployed("Next.js in a pnpm workspace", lock) as made:
        yield made


def test_it_serves_with_a_package_of_the_workspace(site: Documented) -> None:
    body, release = site.page()
    assert "<h1>hello</h1>" in body and release == site.status()["release"]
    made = site.state() / "releases" / release
    assert (made / "apps" / "site" / "server.js").is_file() and (made / "apps/site/.next/static").is_dir()


def test_a_change_in_the_package_goes_live_through_a_canary(site: Documented) -> None:
    site.edit("packages/ui/index.jsx", "<h1>", "<h1 lang='en'>")
    document = site.ok("deploy", "--canary")
    assert [verdict["outcome"] for verdict in document["verdict"]] == ["pass", "pass"]
    assert document["receipt"]["lost"] == 0
    body, release = site.page()
    assert '<h1 lang="en">hello</h1>' in body and release == document["release"]
