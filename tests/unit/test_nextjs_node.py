"""Which node and which pnpm an application is built with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from nextjs_cases import NODE, machine, make, refused, sound, write

from adaf_nextjs import network, pnpm, tools
from adaf_nextjs.tools import Node
from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.process import Completed


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return sound(tmp_path)


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine(monkeypatch, tmp_path)


# --------------------------------------------------------------------------------------------- node and pnpm


def completed(code: int, out: str) -> Completed:
    return Completed((), code, out, "")


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({}, "node: not found"),
        ({"node": "v18.20.4"}, "tools/bin/node is 18.20.4; supported: 20 up to, but not, 27"),
        ({"node": ""}, "tools/bin/node cannot be run by this user"),
    ],
)
def test_node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answers: dict[str, str], message: str) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(tools, "USUAL", ())
    monkeypatch.setenv("PATH", "")
    if answers:
        write(tmp_path, "tools/bin/node", "")
        (tmp_path / "tools/bin/node").chmod(0o755)
    monkeypatch.setattr(tools, "run", lambda *_a, **_k: completed(0 if answers["node"] else 1, answers["node"] + "\n"))
    with pytest.raises(PreconditionError) as caught:
        tools.find_node(tmp_path / "tools", None)
    assert message in caught.value.message
    assert caught.value.hint == "./ci/env true installs one, or apt-get install nodejs"


def test_node_of_the_tools_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    for name in ("tools/bin/node", "other/node"):
        write(tmp_path, name, "")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "other"))
    monkeypatch.setattr(tools, "run", lambda *_a, **_k: completed(0, "v22.3.0\n"))
    assert tools.find_node(tmp_path / "tools", None) == Node(tmp_path / "tools/bin/node", "22.3.0")


def test_tools_are_found_without_ci_env(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tools.folder(Path("/var/x/local")).name == "tools"
    monkeypatch.delenv("ADAF_TOOLS")
    assert tools.folder(Path("/var/x/local")) == Path("/var/x/tools")


def test_pnpm_is_missing(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "programs", lambda _name, _tools: [])
    monkeypatch.setattr(os, "access", lambda *_a: False)  # no npm beside node
    (tmp_path / "tools/pnpm/10.34.9/bin/pnpm").unlink()
    error = refused(make(source))
    assert (error.message, error.hint) == ("apps/web: pnpm 10.34.9 is missing", "./ci/env true")
    with pytest.raises(PreconditionError, match="no npm to install it with"):
        pnpm.get("10.34.9", tmp_path / "tools", NODE, None, print)


def test_pnpm_is_installed_as_ci_env_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def npm(argv: list[str], **_more: object) -> Completed:
        seen.append(argv)
        write(Path(argv[argv.index("--prefix") + 1]), "bin/pnpm", "")
        return completed(0, "")

    monkeypatch.setattr(tools, "programs", lambda name, _tools: [Path("/usr/bin/npm")] if name == "npm" else [])
    monkeypatch.setattr(pnpm, "run", npm)
    write(tmp_path / "tools", "pnpm/10.1.0/leftover", "")  # a folder without the program is none
    got = pnpm.get("10.1.0", tmp_path / "tools", NODE, None, print)
    assert got == tmp_path / "tools/pnpm/10.1.0/bin/pnpm" and got.exists()
    assert seen[0][1:3] == ["install", "-g"] and seen[0][-1] == "pnpm@10.1.0"
    assert sorted(path.name for path in (tmp_path / "tools/pnpm").iterdir()) == ["10.1.0", "10.34.9"]
    assert pnpm.known(tmp_path / "tools") == "10.34.9"


def test_pnpm_of_the_path_must_be_that_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "programs", lambda name, _tools: [Path("/a/pnpm"), Path("/b/pnpm")])
    monkeypatch.setattr(
        pnpm, "run", lambda argv, **_more: completed(0, "9.0.0\n" if argv[0] == "/a/pnpm" else "10.2.0\n")
    )
    assert pnpm.find("10.2.0", tmp_path, NODE, None) == Path("/b/pnpm")
    assert pnpm.find("10.3.0", tmp_path, NODE, None) is None


def test_the_registry_is_passed_on_and_its_credentials_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = "https://" + "registry.invalid/"
    file = tmp_path / ".npmrc"
    file.write_text(
        f"registry={host}\n@us:registry = {host}\n//registry.invalid/:_authToken=planted\n_auth=planted\n"
        "proxy=http://me:planted@proxy.invalid\nhttps-proxy=${PLANTED}\nfund=false\n"
    )
    for name in ("NPM_CONFIG_USERCONFIG", "npm_config_userconfig"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert network.npmrc() == f"registry={host}\n@us:registry = {host}\n"
    monkeypatch.setenv("npm_config_userconfig", str(tmp_path / "none"))
    assert network.npmrc() == ""
