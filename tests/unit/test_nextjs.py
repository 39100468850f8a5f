"""The app backend ``nextjs``: what it refuses, what it reads, what it wants running."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from nextjs_cases import CACHE, DATABASE, lock, machine, make, manifest, refused, sound, write

import adaf_nextjs
from adaf_nextjs.settings import Settings
from adaf_pipeline.errors import ConfigError, PreconditionError
from adaf_pipeline.service import Ref, SecretUse


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return sound(tmp_path)


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine(monkeypatch, tmp_path)


def test_the_plugin_imports_nothing_heavy() -> None:
    backend, node = adaf_nextjs.adaf_backends()
    assert (node.role, node.name, node.target) == ("app", "node", "adaf_nextjs.node:NodeServer")
    assert (backend.role, backend.name, backend.target) == ("app", "nextjs", "adaf_nextjs.backend:NextJS")
    imports = [
        line for line in Path(adaf_nextjs.__file__).read_text().splitlines() if line.startswith(("import", "from"))
    ]
    assert imports == ["from __future__ import annotations", "from adaf_pipeline.hooks import Backend, impl"]


def test_a_sound_application_passes(source: Path) -> None:
    make(source).check()
    make(source, entry="entry.cjs", include=["migrations/README.md", "migrations/"]).check()


# ------------------------------------------------------------------------------------------------- the lock


@pytest.mark.parametrize(
    ("lock", "manager", "command"),
    [
        ("package-lock.json", "npm", "import"),
        ("npm-shrinkwrap.json", "npm", "import"),
        ("yarn.lock", "Yarn", "import"),
        ("bun.lock", "Bun", "install --lockfile-only"),
    ],
)
def test_another_managers_lock(source: Path, lock: str, manager: str, command: str) -> None:
    (source / "pnpm-lock.yaml").rename(source / lock)
    error = refused(make(source))
    assert error.message == f"apps/web: locked with {manager}, not pnpm: there is {lock}, but no pnpm-lock.yaml"
    assert error.hint == f"pnpm --dir apps/web {command} && rm apps/web/{lock}"
    assert error.exit_code == 6


def test_no_lock_at_all(source: Path) -> None:
    (source / "pnpm-lock.yaml").unlink()
    error = refused(make(source))
    assert (error.message, error.exit_code) == ("apps/web: pnpm-lock.yaml is missing", 6)
    assert error.hint == "pnpm --dir apps/web install --lockfile-only"


def test_commands_name_no_folder_when_the_application_is_the_checkout(source: Path) -> None:
    (source / "pnpm-lock.yaml").unlink()
    app = make(source)
    cast(Any, app.stack).checkout = source
    assert refused(app).hint == "pnpm install --lockfile-only"


def test_two_locks(source: Path) -> None:
    write(source, "package-lock.json", "{}")
    error = refused(make(source))
    assert error.message == "apps/web: two lock files: pnpm-lock.yaml and package-lock.json (npm)"
    assert (error.hint, error.exit_code) == ("rm apps/web/package-lock.json", 6)


def test_a_lock_above_without_a_workspace(source: Path) -> None:
    (source / "pnpm-lock.yaml").rename(source.parents[1] / "pnpm-lock.yaml")
    error = refused(make(source))
    assert error.message == "apps/web: pnpm-lock.yaml lies in ../.., which is no workspace: no pnpm-workspace.yaml"
    assert "install --ignore-workspace --lockfile-only" in error.hint


def test_a_workspace_above_is_the_root_of_everything(source: Path) -> None:
    root = source.parents[1]
    (source / "pnpm-lock.yaml").unlink()
    write(root, "pnpm-lock.yaml", lock("apps/web"))
    write(root, "pnpm-workspace.yaml", "packages: [apps/*]\n")
    write(root, "packages/ui/index.js", "")
    write(root, "package.json", json.dumps({"packageManager": "pnpm@10.34.9"}))
    write(source, "package.json", json.dumps(manifest(packageManager=None)))
    app = make(source, entry="entry.cjs")
    app.check()
    assert app.root == root and {"packages/ui/index.js", "apps/web/entry.cjs", "pnpm-lock.yaml"} < set(app.inputs())
    service = app.service("blue", 1, "r1")
    assert service.argv[1] == (Ref("path", "web.blue.1", "package", "apps/web/entry.cjs"),)
    assert [path.name for path in app.migrations(root, "r1").files] == ["0001_a.sql", "0002_b.sql"]
    assert refused(make(source, entry="packages/ui/index.js")).message.startswith("apps/web/entry: ")


# --------------------------------------------------------------------------------------------- package.json


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        (None, "no package.json in apps/web", "`path` in adaf.yaml"),
        ("{,", "package.json:1:2: not JSON: Expecting property name", "comma"),
        ("[]", "package.json is not an object", "{"),
        (json.dumps(manifest(dependencies={"react": "19"})), "does not depend on next", "pnpm --dir apps/web add next"),
        (json.dumps(manifest(packageManager=None)), "does not say which pnpm", '"packageManager": "pnpm@10.34.9"'),
        (json.dumps(manifest(packageManager="npm@10.2.0")), "is npm@10.2.0, not pnpm", '"pnpm@10.34.9"'),
        (json.dumps(manifest(packageManager="pnpm@10")), "pnpm@10 is not an exact version", '"pnpm@10.34.9"'),
        (json.dumps(manifest(packageManager="pnpm@^10.1.0")), "is not an exact version", '"pnpm@10.34.9"'),
        (json.dumps(manifest(engines={"node": ">=22"})), "wants node >=22, /usr/bin/node is 20.20.2", "engines.node"),
    ],
)
def test_package_json(source: Path, body: str | None, message: str, hint: str) -> None:
    (source / "package.json").unlink()
    if body is not None:
        write(source, "package.json", body)
    error = refused(make(source))
    assert isinstance(error, PreconditionError) and error.exit_code == 6
    assert error.message.startswith("apps/web: ") and message in error.message
    assert hint in error.hint


def test_a_hash_may_follow_the_version(source: Path) -> None:
    write(source, "package.json", json.dumps(manifest(packageManager="pnpm@10.34.9+sha512.abc")))
    app = make(source)
    app.check()
    assert app.toolchain()["pnpm"] == "10.34.9"


@pytest.mark.parametrize("config", ["export default {};", "const c: NextConfig = { poweredByHeader: false };"])
def test_a_server_that_does_not_stand_alone(source: Path, config: str) -> None:
    write(source, "next.config.mjs", config)
    error = refused(make(source))
    assert error.message == "apps/web: no standalone server: next.config.mjs does not ask for one"
    assert error.hint == 'set  output: "standalone"  in next.config.mjs'
    assert error.exit_code == 2


def test_no_next_config(source: Path) -> None:
    (source / "next.config.mjs").unlink()
    assert refused(make(source)).message == "apps/web: no standalone server: there is no next.config"


@pytest.mark.parametrize("config", ['import base from "./base.mjs"; export default base;', "x = process.env.OUT"])
def test_a_configuration_made_elsewhere_gets_the_benefit_of_doubt(source: Path, config: str) -> None:
    write(source, "next.config.mjs", config)
    make(source).check()


# ------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        ({"entry": "entri.cjs"}, "apps/web/entry: apps/web/entri.cjs is not among", "did you mean entry.cjs?"),
        ({"include": ["mail"]}, "apps/web/include: apps/web/mail is not among", "there is: entry.cjs, migrations, "),
        ({"include": [".env.local"]}, "apps/web/include: apps/web/.env.local is not among the sources", "there is: "),
        ({"entry": "../x.js"}, "apps/web/entry: ../x.js leads out of the application", "relative"),
        ({"include": ["ok", "/etc"]}, "apps/web/include/1: /etc leads out of the application", "relative"),
        ({"include": [".next/cache"]}, "apps/web/include/0: .next/cache is made by the build", "leave it out"),
        ({"migrations": "."}, "apps/web/migrations: . leads out", "relative"),
        ({"environment": {"PORT": "1"}}, "apps/web/environment/PORT: the pipeline sets it", "remove it"),
        ({"build_environment": {"CI": "0"}}, "apps/web/build_environment/CI: the pipeline sets it", "remove it"),
    ],
)
def test_settings_that_types_cannot_refuse(source: Path, settings: dict[str, Any], message: str, hint: str) -> None:
    write(source, ".env.local", "PLANTED=1")  # a developer's own: never part of a release
    error = refused(make(source, **settings))
    assert isinstance(error, ConfigError) and error.exit_code == 2
    assert message in error.message
    assert hint in error.hint


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({"entri": "x"}, Settings)


# ------------------------------------------------------------------------------------- inputs and toolchain


def test_inputs_are_what_people_write(source: Path) -> None:
    app = make(source)
    before = app.inputs()
    for name in (
        *("node_modules/next/index.js", ".next/BUILD_ID", ".git/HEAD", "lib/node_modules/x.js", ".turbo/log"),
        *("tsconfig.tsbuildinfo", "next-env.d.ts", ".env.local", ".env.production.local", ".DS_Store"),
        *(".adaf-home/.npmrc", ".adaf-inputs"),
    ):
        write(source, name, "made")
    assert app.inputs() == before
    for name in (".env", ".env.production", "app/(group)/[id]/page.tsx", "public/a b.txt", ".npmrc", ".eslintrc"):
        write(source, name, "written")
    (source / "folder-link").symlink_to("app")
    (source / "dangling").symlink_to("nowhere")
    new = {".env", ".env.production", "app/(group)/[id]/page.tsx", "public/a b.txt", ".npmrc", ".eslintrc"}
    assert set(app.inputs()) - set(before) == new | {"folder-link", "dangling"}
    assert list(app.inputs()) == sorted(app.inputs())


def test_a_linked_node_modules_is_skipped(source: Path) -> None:
    (source / "node_modules").symlink_to("/nowhere")
    assert "node_modules" not in make(source).inputs()


def test_everything_that_changes_the_artefact_is_in_the_toolchain(source: Path) -> None:
    plain = make(source).toolchain()
    assert (plain["node"], plain["pnpm"]) == ("20.20.2", "10.34.9")
    assert plain["platform"].startswith("linux-")
    told = make(source, build_environment={"NEXT_PUBLIC_A": "1"}).toolchain()
    assert dict(told) == {**plain, "env NEXT_PUBLIC_A": "1"}
    assert make(source, entry="entry.cjs").toolchain() != plain
    assert make(source, environment={"A": "1"}, memory_mb=1).toolchain() == plain


def test_the_build_id_follows_the_inputs(source: Path) -> None:
    app = make(source)
    before = app._build_id()
    write(source, "node_modules/x", "")
    assert app._build_id() == before
    write(source, "app/page.tsx", "")
    after = app._build_id()
    assert after != before and len(after) == 16
    (source / "link").symlink_to("nowhere")
    assert app._build_id() != after


# -------------------------------------------------------------------------------------- service, migrations


def test_service(source: Path) -> None:
    app = make(source, entry="entry.cjs", environment={"LOG": "info"})
    service = app.service("blue", 1, "abc123")
    assert (service.id, service.role, service.colour, service.package) == ("web.blue.1", "app", "blue", "abc123")
    assert service.argv == ((Ref("binary", "", "node"),), (Ref("path", "web.blue.1", "package", "entry.cjs"),))
    (node,) = service.binaries
    assert (node.name, node.package, node.supported, node.version) == ("node", "nodejs", ("20", "27"), "--version")
    assert service.environment == {
        "PORT": (Ref("instance", "web.blue.1", "http", "port"),),
        "HOSTNAME": (Ref("instance", "web.blue.1", "http", "host"),),
        "NODE_ENV": ("production",),
        "NODE_OPTIONS": ("--max-old-space-size=384",),
        "NEXT_TELEMETRY_DISABLED": ("1",),
        "KEEP_ALIVE_TIMEOUT": ("75000",),
        "ADAF_RELEASE": ("abc123",),
        "ADAF_COLOUR": ("blue",),
        "LOG": ("info",),
        **DATABASE.environment,
        **CACHE.environment,
    }
    assert service.secrets == (SecretUse("database-app"), SecretUse("cache-app"))
    assert service.ready is not None
    assert (service.ready.http, service.ready.deadline) == ("/api/health/ready", 60)
    assert (service.stop_signal, service.stop_grace, service.limits.memory_mb) == ("TERM", 20, 512)
    assert (service.metrics, service.start_after) == (("http", "/metrics"), ("database", "cache"))
    assert service.labels == {"app": "web", "live": "/api/health/live"}
    assert [port.name for port in service.ports] == ["http"]


def test_service_without_a_limit_and_with_own_node_options(source: Path) -> None:
    own = {"NODE_OPTIONS": "--trace-warnings", "KEEP_ALIVE_TIMEOUT": "5000"}
    free = make(source, memory_mb=0, metrics="", environment=own).service("green", 2, "r")
    assert free.environment["NODE_OPTIONS"] == ("--trace-warnings",)
    assert free.environment["KEEP_ALIVE_TIMEOUT"] == ("5000",)
    assert free.metrics is None and free.limits.memory_mb == 0
    assert free.argv[1] == (Ref("path", "web.green.2", "package", "server.js"),)
    limited = make(source, memory_mb=1024, environment=own).service("green", 2, "r")
    assert limited.environment["NODE_OPTIONS"] == ("--max-old-space-size=768 --trace-warnings",)


def test_digest_is_the_releases(source: Path) -> None:
    app = make(source)
    assert app.service("blue", 1, "a").digest() == app.service("blue", 1, "a").digest()
    assert app.service("blue", 1, "a").digest() != app.service("blue", 1, "b").digest()


def test_migrations(source: Path) -> None:
    found = make(source).migrations(source, "r")
    assert found.job is None
    assert [path.name for path in found.files] == ["0001_a.sql", "0002_b.sql"]
    assert make(source, migrations="none").migrations(source, "r").files == ()


def test_doctor(source: Path) -> None:
    assert [finding.ok for finding in make(source).doctor()] == [True, True]
    (source / "pnpm-lock.yaml").unlink()
    (finding,) = make(source).doctor()
    assert not finding.ok and finding.what == "apps/web: pnpm-lock.yaml is missing"
