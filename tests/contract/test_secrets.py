"""The secrets contract: the fake, and files as the local runtime's account keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adaf_pipeline.roles import Secrets
from adaf_pipeline.testing.secrets import SecretsContract
from adaf_pipeline.testing.stack import fake_stack, real_stack


class TestFake(SecretsContract):
    @pytest.fixture
    def secrets(self, tmp_path: Path) -> Secrets:
        return fake_stack(tmp_path).secrets


class TestFiles(SecretsContract):
    @pytest.fixture
    def secrets(self) -> Iterator[Secrets]:
        """A stack where nothing was ever started: an empty store costs no process."""
        with real_stack(secrets="files") as stack:
            yield stack.secrets
