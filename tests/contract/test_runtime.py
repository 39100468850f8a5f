"""The runtime contract: the fake, and real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adaf_local.backend import Local, Settings
from adaf_pipeline.roles import Runtime
from adaf_pipeline.testing.runtime import RuntimeContract
from adaf_pipeline.testing.stack import fake_stack


class TestFake(RuntimeContract):
    @pytest.fixture
    def runtime(self, tmp_path: Path) -> Runtime:
        return fake_stack(tmp_path).runtime


class TestLocal(RuntimeContract):
    @pytest.fixture
    def runtime(self, tmp_path: Path) -> Iterator[Runtime]:
        local = Local(Settings(), fake_stack(tmp_path))
        yield local
        local.down(purge=True, progress=self.quiet)
