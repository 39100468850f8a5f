"""What `status` and `doctor` say, over fakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from deploy_world import deploy

from adaf_local.launch import hint_of
from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.roles import App
from adaf_pipeline.stack import Stack
from adaf_pipeline.tasks import overview
from adaf_pipeline.testing.driving import Pipeline
from adaf_pipeline.testing.runtime import FakeRuntime
from adaf_pipeline.testing.stack import fake_stack
from adaf_pipeline.workflows.status import findings, status


def test_what_no_role_can_do_without_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = fake_stack(tmp_path)

    def refuses() -> Any:
        raise PreconditionError("no state directory", "make one")

    for role in ("runtime", "database", "cache"):
        monkeypatch.setattr(getattr(stack, role), "doctor", refuses)
    bad = [finding for finding in findings(stack) if not finding["ok"]]
    assert bad == [{"role": "runtime", "ok": False, "what": "no state directory", "hint": "make one"}]


def test_an_application_that_was_renamed_while_it_runs_needs_a_down_not_an_up(stack: Stack) -> None:
    deploy(stack)
    apps = cast("dict[str, App]", stack.apps)
    apps["shop"] = apps.pop("web")
    document = status(stack)
    assert not document["ok"] and document["next"] == ["inv down"]
    assert "web.blue.1 runs, but adaf.yaml has no such application" in "\n".join(overview.lines(document))


def test_a_silent_service_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = Pipeline(tmp_path)
    pipeline.ok("up")
    monkeypatch.setattr(FakeRuntime, "logs", lambda *_which, follow=False: iter(()))
    done = pipeline.run("logs", "--service", "database.1")
    assert (done.code, done.stdout) == (0, "") and "database.1 has said nothing yet" in done.stderr


def test_an_application_without_the_path_of_ready_is_told_which_key_says_it(stack: Stack) -> None:
    service = stack.apps["web"].service("blue", 1, "")
    assert hint_of(service, "HTTP 404: hi").startswith("`ready` of apps/web in adaf.yaml")
    assert hint_of(service, "connection refused") == "inv logs --service web.blue.1"
