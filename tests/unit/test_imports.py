"""`inv --list` stays fast: what it imports is counted, not timed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

import pytest

HEAVY = (
    "psycopg",
    "redis",
    "boto3",
    "docker",
    "rich",
    "opentelemetry",
    "msgspec",
    "yaml",
    "h11",
    "adaf_pipeline.config",
)


@pytest.fixture
def fresh() -> Iterator[None]:
    """As in a new process: nothing of ours, and nothing heavy, is imported yet."""
    ours = {n: m for n, m in sys.modules.items() if n.split(".")[0].startswith("adaf_") or n.split(".")[0] in HEAVY}
    for name in ours:
        del sys.modules[name]
    yield
    for name in [n for n in sys.modules if n.split(".")[0].startswith("adaf_") or n.split(".")[0] in HEAVY]:
        del sys.modules[name]
    sys.modules.update(ours)


@pytest.mark.usefixtures("fresh")
def test_listing_imports_nothing_heavy() -> None:
    namespace = importlib.import_module("adaf_pipeline.tasks").namespace()
    assert "deploy" in namespace.tasks
    assert [name for name in HEAVY if name in sys.modules] == []
    plugins = importlib.import_module("adaf_pipeline.plugins").discover()
    assert {name for _role, name in plugins.backends()} >= {"local", "haproxy", "nginx", "postgres", "redis", "files"}
    assert [name for name in HEAVY if name in sys.modules] == []
