"""The runtime contract on a real engine."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import OURS
from prod import BASE

from adaf_compose.backend import Compose
from adaf_compose.settings import Settings
from adaf_pipeline.roles import Runtime
from adaf_pipeline.testing.runtime import RuntimeContract
from adaf_pipeline.testing.stack import fake_stack


class TestCompose(RuntimeContract):
    @pytest.fixture
    def runtime(self, images: list[str], tmp_path: Path) -> Iterator[Runtime]:
        stack = fake_stack(tmp_path, f"name: {OURS}{secrets.token_hex(3)}\n")
        compose = Compose(Settings(bases={"BASE_IMAGE": BASE}), stack)
        yield compose
        compose.down(purge=True, progress=self.quiet)
