"""A sound Next.js application, and one that knows what is found on the machine."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from adaf_nextjs import tools
from adaf_nextjs.backend import NextJS
from adaf_nextjs.settings import Settings
from adaf_nextjs.tools import Node
from adaf_pipeline.errors import AdafError
from adaf_pipeline.roles import Binding, StackView
from adaf_pipeline.service import Ref, SecretUse, text

DATABASE = Binding(
    {"DATABASE_HOST": text(Ref("endpoint", "database", "primary", "host"))}, (SecretUse("database-app"),)
)
CACHE = Binding({"REDIS_HOST": text("r")}, (SecretUse("cache-app"), SecretUse("database-app")))
NODE = Node(Path("/usr/bin/node"), "20.20.2")


def manifest(**changes: object) -> dict[str, object]:
    found: dict[str, object] = {
        "packageManager": "pnpm@10.34.9",
        "engines": {"node": ">=20"},
        "scripts": {"build": "next build"},
        "dependencies": {"next": "15.5.29"},
    }
    return {key: value for key, value in {**found, **changes}.items() if value is not None}


def lock(at: str = ".", **ranges: str) -> str:
    """pnpm's, for these dependencies of the package at a place; without any, for those of ``manifest()``."""
    packages = {name: {"specifier": said, "version": said} for name, said in (ranges or {"next": "15.5.29"}).items()}
    return json.dumps({"lockfileVersion": "9.0", "importers": {at: {"dependencies": packages}}})  # which is YAML too


def sound(tmp_path: Path) -> Path:
    root = tmp_path / "checkout" / "apps" / "web"
    write(root, "package.json", json.dumps(manifest()))
    write(root, "pnpm-lock.yaml", lock())
    write(root, "next.config.mjs", 'export default { output: "standalone" };\n')
    write(root, "entry.cjs", "")
    write(root, "migrations/0002_b.sql", "")
    write(root, "migrations/0001_a.sql", "")
    write(root, "migrations/README.md", "")
    return root


def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """There is a node, and pnpm in the place of ci/env."""
    monkeypatch.setenv("ADAF_TOOLS", str(tmp_path / "tools"))
    monkeypatch.setattr(tools, "find_node", lambda _tools, _account: NODE)
    write(tmp_path / "tools", "pnpm/10.34.9/bin/pnpm", "")


def write(root: Path, name: str, body: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(body)


def make(path: Path, **settings: object) -> NextJS:
    stack = SimpleNamespace(
        database=SimpleNamespace(binding=lambda: DATABASE),
        cache=SimpleNamespace(binding=lambda: CACHE),
        account=None,
        checkout=path.parents[1] if path.name == "web" else path,
        state=path / "nowhere" / "local",
    )
    app = NextJS(msgspec.convert(settings, Settings), cast(StackView, stack))
    app.name, app.path = "web", path
    return app


def refused(app: NextJS) -> AdafError:
    with pytest.raises(AdafError) as caught:
        app.check()
    return caught.value
