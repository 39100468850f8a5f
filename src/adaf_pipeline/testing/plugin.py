"""The pytest plugin: ``pytest_plugins = ["adaf_pipeline.testing.plugin"]`` in a conftest.py brings the fixture.

It is not an entry point of pytest: whoever has the pipeline installed and tests something else shall neither import it
nor meet a fixture that they did not ask for.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from adaf_pipeline.testing.driving import Pipeline


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """A stack of fakes in a folder of its own; ``configure`` puts a backend of yours into it, ``run`` drives it."""
    return Pipeline(tmp_path)
