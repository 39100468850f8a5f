"""What `status` counts and `prune` may take of a stack on Compose, without an engine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from compose_cases import STACK

from adaf_compose.kept import GONE, KILLED, kept


@pytest.fixture
def state(tmp_path: Path) -> Path:
    for place in ("volumes", "logs", "delivered"):
        for identity in ("web.blue.1", "job.mail.1", "old.green.2"):
            (tmp_path / place / identity).mkdir(parents=True)
    for folder in ("web-blue-1", "job-mail-1", "old-green-2", "db", "somebodys"):
        (tmp_path / folder).mkdir()
    (tmp_path / ".job-init-1.yml").touch()
    (tmp_path / "logs" / "link").symlink_to("/")
    return tmp_path


def found(state: Path, **entries: str) -> dict[tuple[str, str], str]:
    made = {name: {"labels": {"adaf.service": identity}} for name, identity in entries.items()}
    runtime = SimpleNamespace(state=state, peers=SimpleNamespace(services=STACK), entries=lambda: made)
    return {(one.kind, str(one.path.relative_to(state))): one.spare for one in kept(cast(Any, runtime))}


def test_data_and_logs_are_counted_by_service(state: Path) -> None:
    assert {name for kind, name in found(state) if kind == "data"} == {
        "volumes/job.mail.1",
        "volumes/old.green.2",
        "volumes/web.blue.1",
    }
    assert ("logs", "logs/web.blue.1") in found(state) and ("logs", "logs/link") not in found(state)


def test_what_is_of_a_service_that_is_gone_is_spare_and_data_never_are(state: Path) -> None:
    spare = {name: why for (_kind, name), why in found(state, **{"job-mail-1": "job.mail.1"}).items() if why}
    assert spare == {
        ".job-init-1.yml": KILLED,
        "delivered/old.green.2": GONE,
        "logs/old.green.2": GONE,
        "old-green-2": GONE,
    }


def test_the_folder_of_somebody_else_is_not_ours(state: Path) -> None:
    names = {name for _kind, name in found(state)}
    assert {"db", "web-blue-1", "old-green-2"} <= names and "somebodys" not in names
