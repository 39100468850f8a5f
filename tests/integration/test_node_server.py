"""A plain Node server by configuration alone: the page's own text, really run; then with packages and a build script."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from documented import Documented, deployed

from adaf_nextjs import pnpm

BUILD = (
    "import { mkdirSync, writeFileSync } from 'node:fs'; mkdirSync('dist'); writeFileSync('dist/word.txt', 'built');"
)
SERVER = """
import { readFileSync } from "node:fs";
import { isOdd } from "./odd.js";
const word = readFileSync(new URL("./dist/word.txt", import.meta.url), "utf8") + isOdd(3);
"""


@pytest.fixture(scope="module")
def node() -> Iterator[Documented]:
    with deployed("A Node server") as made:
        yield made


def test_it_serves_without_packages_and_without_pnpm(node: Documented) -> None:
    release = node.status()["release"]
    assert node.page() == ("hello\n", release)
    made = node.state() / "releases" / release
    assert {path.name for path in made.iterdir()} == {"adaf.yaml", "package.json", "server.js"}


def test_packages_and_a_build_script_go_live_through_a_canary(node: Documented) -> None:
    manifest = {
        "name": "hello",
        "private": True,
        "type": "module",
        "packageManager": f"pnpm@{pnpm.TRIED}",
        "scripts": {"build": "node build.js"},
        "dependencies": {"is-odd": "3.0.1"},
        "devDependencies": {"is-even": "1.0.0"},
    }
    (node.folder / "package.json").write_text(json.dumps(manifest))
    refused = node.run("build", "--json")
    assert refused.code == 6 and "pnpm-lock.yaml is missing" in refused.document["error"]
    assert node.run("lockfile", "--json").document["hint"].endswith("(or: inv lockfile --fix)")
    assert node.ok("lockfile", "--fix")["fixed"] == ["apps/web: pnpm-lock.yaml is missing"]
    (node.folder / "build.js").write_text(BUILD)
    (node.folder / "odd.js").write_text('import odd from "is-odd";\nexport const isOdd = odd;\n')
    node.edit("server.js", "\nconst {", SERVER + "\nconst {")
    node.edit("server.js", '"hello\\n"', "word")
    document = node.ok("deploy", "--canary")
    assert [verdict["outcome"] for verdict in document["verdict"]] == ["pass", "pass"]
    assert document["receipt"]["lost"] == 0
    assert node.page() == ("builttrue", document["release"])
    packages = {path.name for path in (node.state() / "releases" / document["release"] / "node_modules").iterdir()}
    assert "is-odd" in packages and "is-even" not in packages


def test_a_release_with_a_secret_of_the_stack_in_it_is_refused(node: Documented) -> None:
    (secret,) = {
        f.read_text() for f in (node.state() / "secrets").rglob("*") if f.is_file() and "database-app" in str(f)
    }
    before = sorted((node.state() / "releases").iterdir())
    (node.folder / "notes.txt").write_text(f"remember: {secret}\n")
    refused = node.run("build", "--json")
    (node.folder / "notes.txt").unlink()
    assert (refused.code, refused.document["error"]) == (1, "web: notes.txt holds the secret database-app")
    assert secret not in refused.stdout + refused.stderr
    assert sorted((node.state() / "releases").iterdir()) == before


def test_doctor_finds_the_node_it_runs_with(node: Documented) -> None:
    said = [finding["what"] for finding in node.ok("doctor")["findings"]]
    assert any(line.startswith("node 2") for line in said)


def test_an_entry_that_is_not_there_is_named(node: Documented) -> None:
    node.edit("adaf.yaml", "use: node", "use: node\n    entry: main.js")
    node.edit("package.json", '"build"', '"built"')
    done = node.run("build", "--json")
    assert done.code == 2 and "apps/web/entry: main.js is not among the files" in done.document["error"]
