"""The application contract: the fake, a Python program, Next.js and plain Node (their builds: tests/integration, tests/e2e)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import ClassVar

import pytest

from adaf_pipeline.plugins import discover
from adaf_pipeline.roles import App
from adaf_pipeline.stack import Stack
from adaf_pipeline.testing import fakes
from adaf_pipeline.testing.app import AppContract, FakeApp
from adaf_pipeline.testing.stack import FAKE

TINY = Path(__file__).parents[1] / "apps" / "tiny"


def make(folder: Path, use: str) -> App:
    """An application of the installed plugins in ``folder``/app, the rest of the stack faked."""
    from adaf_pipeline import config

    (folder / "adaf.yaml").write_text(FAKE.replace("use: fake", f"use: {use}"))
    registry = discover(folder)
    registry.add("fakes", fakes)
    return Stack(config.load(folder / "adaf.yaml"), registry).apps["web"]


class TestFake(AppContract):
    @pytest.fixture
    def app(self, tmp_path: Path) -> App:
        (tmp_path / "app").mkdir()
        (tmp_path / "app" / "main.txt").write_text("one\n")
        return make(tmp_path, "fake")

    def wrong(self, app: App) -> None:
        assert isinstance(app, FakeApp)
        app.failure = "cannot"


class TestPython(AppContract):
    edit = "app.py"

    @pytest.fixture
    def app(self, tmp_path: Path) -> App:
        shutil.copytree(TINY, tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
        return make(tmp_path, "python")

    def wrong(self, app: App) -> None:
        (app.path / "app.py").write_text("def (:\n")


class TestNextJS(AppContract):
    edit = "package.json"
    builds = False
    backend = "nextjs"
    manifest: ClassVar[dict[str, dict[str, str]]] = {
        "dependencies": {"next": "15.5.29"},
        "scripts": {"build": "next build"},
    }

    @pytest.fixture
    def app(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
        pnpm = tmp_path / "tools" / "pnpm" / "10.34.9" / "bin" / "pnpm"
        pnpm.parent.mkdir(parents=True)
        pnpm.write_text("")
        monkeypatch.setenv("ADAF_TOOLS", str(tmp_path / "tools"))
        (tmp_path / "app").mkdir()
        packages = {name: {"specifier": said} for name, said in self.manifest["dependencies"].items()}
        for name, body in {
            "package.json": json.dumps({"packageManager": "pnpm@10.34.9", **self.manifest}),
            "pnpm-lock.yaml": json.dumps({"lockfileVersion": "9.0", "importers": {".": {"dependencies": packages}}}),
            "next.config.mjs": 'export default { output: "standalone" };\n',
            "server.js": "",
        }.items():
            (tmp_path / "app" / name).write_text(body)
        return make(tmp_path, self.backend)

    def wrong(self, app: App) -> None:
        (app.path / "pnpm-lock.yaml").rename(app.path / "package-lock.json")


class TestNode(TestNextJS):
    backend = "node"
    manifest: ClassVar[dict[str, dict[str, str]]] = {"dependencies": {"pg": "8"}}
