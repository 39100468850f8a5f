"""The cache contract: the fake, and Redis on the local runtime."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adaf_pipeline.roles import Cache
from adaf_pipeline.stack import Stack
from adaf_pipeline.testing.cache import CacheContract
from adaf_pipeline.testing.stack import fake_stack, real_stack, start_roles


class TestFake(CacheContract):
    @pytest.fixture
    def cache(self, tmp_path: Path) -> Cache:
        return fake_stack(tmp_path).cache


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One server for all; each test finds it empty."""
    with real_stack(cache="redis", secrets="files") as made:
        start_roles(made, "cache")
        yield made


class TestRedis(CacheContract):
    @pytest.fixture
    def cache(self, stack: Stack) -> Cache:
        stack.cache.command("FLUSHALL")
        return stack.cache
