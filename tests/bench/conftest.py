"""Figures instead of verdicts: a bench says what it measured, and fails only for what was lost, doubled or not seen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from driving import Pipeline
from figures import Figures
from stacks import dark, engine, house, images, prod

from adaf_pipeline.stack import Stack, open_stack

__all__ = ["dark", "engine", "figures", "house", "images", "prod", "stack"]


@pytest.fixture(scope="session")
def figures() -> Iterator[Figures]:
    yield Figures()
    print()


@pytest.fixture
def stack(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """The stack of the checkout, in this process."""
    monkeypatch.chdir(pipeline.folder)
    return open_stack()
