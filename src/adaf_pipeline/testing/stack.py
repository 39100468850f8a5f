"""A stack of fakes: everything a workflow can touch, in memory. And a real one, for the backends it is told."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from adaf_pipeline import config
from adaf_pipeline.plugins import Registry, discover
from adaf_pipeline.service import secret_names
from adaf_pipeline.stack import Stack
from adaf_pipeline.testing import fakes

FAKE = """
runtime: fake
apps: {web: {use: fake, path: app}}
balancer: fake
proxy: fake
database: fake
cache: fake
secrets: fake
"""


def fake_stack(folder: Path, extra: str = "", plugins: Mapping[str, object] | None = None) -> Stack:
    """A Stack of fakes in ``folder``, with an application of one file. ``extra``: more lines of adaf.yaml."""
    (folder / "app").mkdir(exist_ok=True)
    (folder / "app" / "main.txt").write_text("one\n")
    (folder / "adaf.yaml").write_text(FAKE + extra)
    registry = Registry()
    registry.add("fakes", fakes)
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
    registry.add("fakes", fakes)
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
