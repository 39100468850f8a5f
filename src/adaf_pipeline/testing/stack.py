"""A stack of fakes: everything a workflow can touch, in memory. And a real one, for the backends it is told."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from adaf_pipeline import config
from adaf_pipeline.errors import ProcessError
from adaf_pipeline.hooks import Backend, impl
from adaf_pipeline.plugins import Registry, discover
from adaf_pipeline.roles import App, Migrations, Problem, Proxy, Workplace
from adaf_pipeline.service import Port, Probe, Ref, Service, Services, argv, secret_names
from adaf_pipeline.stack import Stack

FAKE = """
runtime: fake
apps: {web: {use: fake, path: app}}
balancer: fake
proxy: fake
database: fake
cache: fake
secrets: fake
"""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing to set."""


class FakeProxy(Proxy):
    """Answers nothing; has an address."""

    Settings = Settings

    def services(self) -> Services:
        return (
            Service("proxy.1", "proxy", argv("proxy"), ports=(Port("http", public=True),), start_after=("balancer",)),
        )

    def url(self) -> str:
        return "http://" + self.stack.runtime.resolve(Ref("instance", "proxy.1", "http"))


class FakeApp(App):
    """Copies its folder. Tests set ``problems`` (type errors) and ``failure`` (of the build)."""

    Settings = Settings

    def __init__(self, settings: Any, stack: Any) -> None:
        super().__init__(settings, stack)
        self.problems: tuple[Problem, ...] = ()
        self.failure = ""
        self.builds = 0

    def check(self) -> None:
        return

    def inputs(self) -> tuple[str, ...]:
        return tuple(sorted(p.relative_to(self.path).as_posix() for p in self.path.rglob("*") if p.is_file()))

    def toolchain(self) -> Mapping[str, str]:
        return {"fake": "1"}

    def typecheck(self, place: Workplace) -> tuple[Problem, ...]:
        return self.problems

    def build(self, place: Workplace) -> None:
        self.builds += 1
        if self.failure:
            raise ProcessError(self.failure)
        for name in self.inputs():
            target = place.output / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((place.source / name).read_bytes())

    def service(self, colour: str, number: int, release: str) -> Service:
        name = f"{self.name}.{colour}.{number}"
        return Service(
            name,
            "app",
            argv("app"),
            ports=(Port("http"),),
            ready=Probe("http", http="/"),
            package=release,
            colour=colour,
            stop_grace=0,
        )

    def worker(self, name: str, command: tuple[str, ...], release: str) -> Service:
        return Service(f"{self.name}.{name}.1", "worker", argv(*command), package=release)

    def migrations(self, artefact: Path, release: str) -> Migrations:
        return Migrations(files=tuple(sorted((artefact / "migrations").glob("*.sql"))))


class FakePlugin:
    """The fakes, through the same door as everything else."""

    @staticmethod
    @impl
    def adaf_backends() -> list[Backend]:
        here = "adaf_pipeline.testing"
        return [
            Backend("runtime", "fake", f"{here}.runtime:FakeRuntime"),
            Backend("app", "fake", f"{here}.stack:FakeApp"),
            Backend("proxy", "fake", f"{here}.stack:FakeProxy"),
            Backend("balancer", "fake", f"{here}.balancer:FakeBalancer"),
            Backend("database", "fake", f"{here}.database:FakeDatabase"),
            Backend("cache", "fake", f"{here}.cache:FakeCache"),
            Backend("secrets", "fake", f"{here}.secrets:FakeSecrets"),
        ]


def fake_stack(folder: Path, extra: str = "", plugins: Mapping[str, object] | None = None) -> Stack:
    """A Stack of fakes in ``folder``, with an application of one file. ``extra``: more lines of adaf.yaml."""
    (folder / "app").mkdir(exist_ok=True)
    (folder / "app" / "main.txt").write_text("one\n")
    (folder / "adaf.yaml").write_text(FAKE + extra)
    registry = Registry()
    registry.add("fakes", FakePlugin)
    for name, plugin in (plugins or {}).items():
        registry.add(name, plugin)
    return Stack(config.load(folder / "adaf.yaml"), registry)


def quiet(_message: str) -> None:
    """Progress that nobody reads."""


@contextlib.contextmanager
def real_stack(**sections: Any) -> Iterator[Stack]:
    """The installed plugins on the `local` runtime, in a folder of its own; nothing runs yet, all is purged at the end.

    ``real_stack(database={"use": "postgres", "memory_mb": 128}, secrets="files")``: what is not named is a fake, and
    fakes cannot be started.
    """
    folder = Path(tempfile.mkdtemp(prefix="adaf-test-"))
    (folder / "app").mkdir()
    (folder / "adaf.yaml").write_text(json.dumps({**yaml.safe_load(FAKE), "runtime": "local", **sections}))
    registry = discover(folder)
    registry.add("fakes", FakePlugin)
    stack = Stack(config.load(folder / "adaf.yaml"), registry)
    try:
        yield stack
    finally:
        stack.runtime.down(purge=True, progress=quiet)
        shutil.rmtree(folder)


def start_roles(stack: Stack, *roles: str) -> None:
    """Make their secrets and start their services, as `inv up` does."""
    services = tuple(service for service in stack.services() if service.role in roles)
    stack.secrets.ensure(secret_names(services))
    stack.runtime.start(services, quiet)
