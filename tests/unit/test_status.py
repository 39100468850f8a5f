"""What `status` and `doctor` say, over fakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.testing.stack import fake_stack
from adaf_pipeline.workflows.status import findings


def test_what_no_role_can_do_without_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = fake_stack(tmp_path)

    def refuses() -> Any:
        raise PreconditionError("no state directory", "make one")

    for role in ("runtime", "database", "cache"):
        monkeypatch.setattr(getattr(stack, role), "doctor", refuses)
    bad = [finding for finding in findings(stack) if not finding["ok"]]
    assert bad == [{"role": "runtime", "ok": False, "what": "no state directory", "hint": "make one"}]
