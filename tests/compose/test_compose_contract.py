"""The runtime contract on a real engine."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from adaf_compose.backend import Compose
from adaf_compose.images import SHIPPED
from adaf_compose.settings import Settings
from adaf_pipeline.roles import Runtime
from adaf_pipeline.testing.runtime import RuntimeContract
from adaf_pipeline.testing.stack import fake_stack

IMAGES = Path(os.environ.get("ADAF_TEST_IMAGES") or SHIPPED)  # a folder of Dockerfiles


class TestCompose(RuntimeContract):
    @pytest.fixture
    def runtime(self, engine: None, tmp_path: Path) -> Iterator[Runtime]:
        if not (IMAGES / "python" / "Dockerfile").is_file():
            pytest.skip(f"no image of python: {IMAGES} has no Dockerfile of it, ADAF_TEST_IMAGES names another folder")
        stack = fake_stack(tmp_path, f"name: contract-{secrets.token_hex(3)}\n")
        compose = Compose(Settings(images=str(IMAGES)), stack)
        yield compose
        compose.down(purge=True, progress=self.quiet)
