"""The dashboard, built for real by the account that builds on this machine. Select it with ``-k nextjs_build``.

The first build downloads some 40 packages and takes minutes on a busy machine; later ones find them in the store.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from adaf_local import places
from adaf_nextjs import tools
from adaf_nextjs.backend import NextJS
from adaf_pipeline.errors import AdafError, PreconditionError
from adaf_pipeline.process import Account, spawn
from adaf_pipeline.roles import StackView
from adaf_pipeline.workflows import build, tree

CHECKOUT = Path(__file__).parents[2]
DASHBOARD = CHECKOUT / "examples" / "dashboard"
TOOLS = Path(os.environ.get("ADAF_TOOLS") or places.state_root(os.geteuid(), Path.home()) / "tools")


def no_node() -> bool:
    try:
        tools.find_node(TOOLS, None)
    except AdafError:
        return True
    return False


pytestmark = pytest.mark.skipif(no_node(), reason="needs the node of ci/env")


@pytest.fixture(scope="module")
def stack() -> Iterator[StackView]:
    """A state directory that the account can enter; pytest's own are closed to it."""
    scratch = Path(tempfile.mkdtemp(prefix="adaf-nextjs-"))
    scratch.chmod(0o755)
    before = os.environ.get("ADAF_TOOLS")
    os.environ["ADAF_TOOLS"] = str(TOOLS)
    view = SimpleNamespace(name="local", checkout=CHECKOUT, state=scratch / "local", account=places.account())
    yield cast(StackView, view)
    if before is None:
        del os.environ["ADAF_TOOLS"]
    shutil.rmtree(scratch, ignore_errors=True)


def make(stack: StackView, path: Path) -> NextJS:
    app = NextJS(msgspec.convert({"entry": "entry.cjs"}, NextJS.Settings), stack)
    app.name, app.path = "web", path
    return app


def variant(tmp_path: Path, name: str, body: str) -> Path:
    """The dashboard with one file replaced; its work copy is the one that earlier tests filled."""
    copy = tmp_path / "dashboard"
    shutil.copytree(DASHBOARD, copy, ignore=shutil.ignore_patterns("node_modules", ".next"))
    (copy / name).parent.mkdir(parents=True, exist_ok=True)
    (copy / name).write_text(body)
    return copy


def test_a_stale_lock_is_refused(stack: StackView, tmp_path: Path) -> None:
    manifest = json.loads((DASHBOARD / "package.json").read_text())
    manifest["dependencies"]["pg"] = "8.0.0"
    app = make(stack, variant(tmp_path, "package.json", json.dumps(manifest)))
    app.check()
    with pytest.raises(PreconditionError) as caught:
        app.typecheck(build.prepare(stack, app, print))
    assert caught.value.message == "apps/web: pnpm-lock.yaml is not up to date with package.json"
    assert "install --no-frozen-lockfile, and commit pnpm-lock.yaml" in caught.value.hint
    assert any("pg (lockfile: " in line for line in caught.value.detail)


def test_type_errors_are_found_with_file_and_line(stack: StackView, tmp_path: Path) -> None:
    app = make(stack, variant(tmp_path, "lib/wrong.ts", "export const a = 1;\nexport const b: number = 'text';\n"))
    (problem,) = app.typecheck(build.prepare(stack, app, print))
    assert (problem.file, problem.line, problem.code) == ("lib/wrong.ts", 2, "TS2322")
    assert problem.message == "Type 'string' is not assignable to type 'number'."


def test_the_dashboard_is_built_and_serves(stack: StackView) -> None:
    app = make(stack, DASHBOARD)
    app.check()
    told: list[str] = []
    place = build.prepare(stack, app, told.append)
    assert app.typecheck(place) == ()
    app.build(place)
    assert "assembling the release" in told and len(told) < 20

    files = tree.files(place.output)
    assert {"server.js", "entry.cjs", "public/robots.txt", ".next/BUILD_ID"} <= set(files)
    assert any(name.startswith(".next/static/chunks/") for name in files)
    assert [path.name for path in app.migrations(place.output, "r").files] == sorted(
        path.name for path in (DASHBOARD / "migrations").glob("*.sql")
    )
    assert not [name for name in files if Path(name).name.startswith((".env", ".npmrc", ".adaf"))]
    links = [name for name in files if (place.output / name).is_symlink()]
    assert links and all((place.output / name).exists() for name in links)
    if stack.account is not None:
        owners = {(place.output / name).lstat().st_uid for name in files}
        assert owners == {stack.account.uid}
    assert len((place.output / ".next" / "BUILD_ID").read_text()) == 16

    tree.take_over(place.output)
    with served(place.output, stack.account) as address:
        with urllib.request.urlopen(f"{address}/api/health/live", timeout=5) as answer:
            assert answer.status == 200 and answer.headers["x-release-id"] == "r1"
            assert json.load(answer) == {"live": True, "release": "r1", "colour": "blue"}
        with urllib.request.urlopen(f"{address}/robots.txt", timeout=5) as answer:
            assert answer.status == 200
        asset = next(name for name in files if name.startswith(".next/static/chunks/") and name.endswith(".js"))
        with urllib.request.urlopen(f"{address}/_next/{asset.removeprefix('.next/')}", timeout=5) as answer:
            assert "immutable" in answer.headers["cache-control"]


@contextlib.contextmanager
def served(release: Path, account: Account | None) -> Iterator[str]:
    """The entry as the account runs it; it has to end well on SIGTERM."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    node = tools.find_node(TOOLS, account)
    environment = {"PORT": str(port), "HOSTNAME": "127.0.0.1", "NODE_ENV": "production"}
    environment |= {"ADAF_RELEASE": "r1", "ADAF_COLOUR": "blue"}
    log = open(release.parent / "serve.log", "wb")  # noqa: SIM115  closed below
    with (
        log,
        spawn(
            [str(node.path), "entry.cjs"], account=account, env=environment, cwd=release, stdout=log, stderr=log
        ) as child,
    ):
        try:
            address = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 30
            while True:
                try:
                    urllib.request.urlopen(f"{address}/api/health/live", timeout=5).close()
                    break
                except (urllib.error.URLError, OSError):
                    if child.poll() is not None or time.monotonic() > deadline:
                        pytest.fail((release.parent / "serve.log").read_text())
                    time.sleep(0.1)
            yield address
            child.terminate()
            assert child.wait(20) == 0
        finally:
            child.kill()
