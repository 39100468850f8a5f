"""`status` as people read it: one screen of 80x24, and the command that makes sense in each state."""

from __future__ import annotations

import io
from typing import Any

import pytest

from adaf_pipeline.stack import Stack
from adaf_pipeline.tasks import overview
from adaf_pipeline.workflows import status as workflow
from adaf_pipeline.workflows.status import next_steps

NAMES = ("balancer.1", "cache.1", "database.1", "proxy.1", "web.blue.1", "web.green.1")


def service(name: str, state: str = "up", ready: bool = True, reason: str = "") -> dict[str, Any]:
    return {"name": name, "state": state, "ready": ready, "reason": reason, "memory_mb": 8.1 if state == "up" else 0.0}


def document(**other: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "url": "http://127.0.0.1:25683",
        "release": "b5f49f1f1274",
        "weights": {"blue": 100.0, "green": 0.0},
        "services": [service(name) for name in NAMES],
        "memory_mb": 48.6,
        "running": None,
        "bad": [],
        "disk": {
            "file_system": "/",
            "total": 20 * 2**30,
            "free": 8 * 2**30,
            "low": False,
            "sizes": {"releases": {"bytes": 3 * 2**20, "whole": True}, "logs": {"bytes": 4096, "whole": True}},
            "data": {"database.1": {"bytes": 2**30, "whole": False}},
        },
    } | other
    return {**made, "next": next_steps(made)}


def running(**other: Any) -> dict[str, Any]:
    return {
        "task": "deploy",
        "who": "ada",
        "pid": 23795,
        "since": 0.0,
        "run": "r",
        "step": "canary-25",
        "said": "canary at 25 %: held for 34 s, green failed 0 of 117 visitors, blue 0 of 1,086 meanwhile: pass",
        "hold": True,
        "undoing": False,
    } | other


def test_all_is_well() -> None:
    assert list(overview.lines(document(), 80)) == [
        "http://127.0.0.1:25683   release b5f49f1f1274 (blue 100 %)",
        "service            state   ready     memory  why",
        "balancer.1         up      yes       8.1 MB",
        "cache.1            up      yes       8.1 MB",
        "database.1         up      yes       8.1 MB",
        "proxy.1            up      yes       8.1 MB",
        "web.blue.1         up      yes       8.1 MB  100 % of the visitors",
        "web.green.1        up      yes       8.1 MB  warm",
        "all                                 48.6 MB",
        "disk: 8.0 GB of 20.0 GB free; database.1 at least 1.0 GB, releases 3.0 MB",
        "next: inv deploy --canary | inv releases",
    ]


def test_a_held_deploy_is_told_with_its_step_and_how_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview.time, "time", lambda: 94.0)
    lines = list(overview.lines(document(running=running(), weights={"blue": 75.0, "green": 25.0}), 80))
    assert lines[:5] == [
        "http://127.0.0.1:25683   release b5f49f1f1274 (blue 75 %, green 25 %)",
        "running now: deploy by ada (pid 23795) for 1:34, is at canary-25",
        "it is held there, and watched: inv promote goes on",
        "  canary at 25 %: held for 34 s, green failed 0 of 117 visitors, blue 0 of",
        "  1,086 meanwhile: pass",
    ]
    assert lines[-1] == "next: inv promote | inv rollback"
    assert len(lines) < 24 and max(map(len, lines)) < 80


DOWN = [service(name, "down", False, "not started") for name in NAMES]
SICK = [*[service(name) for name in NAMES[:-2]], service("web.blue.1", ready=False, reason="HTTP 503")]


@pytest.mark.parametrize(
    ("state", "steps"),
    [
        ({"services": DOWN, "bad": list(NAMES), "release": ""}, ["inv up"]),
        ({"services": [], "release": ""}, ["inv up"]),
        ({"release": "", "weights": {}}, ["inv deploy --canary"]),
        ({"services": SICK, "bad": ["web.blue.1"]}, ["inv logs --service web.blue.1", "inv up"]),
        ({"services": [SICK[0], *DOWN[1:]], "bad": ["cache.1"]}, ["inv up", "inv logs --service cache.1"]),
        ({"bad": ["cache.1", "a deploy died in its canary: inv rollback"]}, ["inv rollback"]),
        ({"running": running(step="build")}, ["inv rollback"]),
        ({"running": running(undoing=True)}, []),
        ({"running": running(task="up", step="services", hold=False)}, []),
        ({"running": running(step="", hold=False)}, ["inv rollback"]),
    ],
)
def test_the_next_sensible_command(state: dict[str, Any], steps: list[str]) -> None:
    made = document(**state)
    assert made["next"] == steps
    last = list(overview.lines(made, 80))[-1]
    assert last == f"next: {' | '.join(steps)}" if steps else not last.startswith("next")


def test_nothing_up_does_not_show_an_address_that_nobody_answers() -> None:
    made = document(services=DOWN, bad=list(NAMES))
    assert next(iter(overview.lines(made))) == "the stack is not up; release b5f49f1f1274 comes back with it"
    assert next(iter(overview.lines({**made, "release": ""}))) == "the stack is not up"


def test_a_long_reason_is_folded_below_itself() -> None:
    reason = "http://127.0.0.1:31234/api/health/ready answered 503 Service Unavailable for the last 12 s"
    lines = list(overview.lines(document(services=[service("web.blue.1", ready=False, reason=reason)]), 80))
    assert lines[2].startswith("web.blue.1         up      NO        8.1 MB  http")
    assert max(map(len, lines)) < 80 and lines[3].startswith(" " * 45)


def test_a_disk_that_is_nearly_full_is_said_and_pruned() -> None:
    made = document(disk={**document()["disk"], "low": True, "free": 2**29, "file_system": "/var"})
    assert made["next"][0] == "inv prune"
    lines = list(overview.lines(made, 80))
    assert lines[-3:-1] == [
        "the disk is nearly full (/var): inv prune frees what nothing needs",
        "disk: 512.0 MB of 20.0 GB free; database.1 at least 1.0 GB, releases 3.0 MB",
    ]
    assert lines[-1].startswith("next: inv prune | inv deploy")


def test_a_real_document_over_fakes(stack: Stack) -> None:
    made = workflow.status(stack)
    assert made["next"] == ["inv up"]
    assert next(iter(overview.lines(made, 80))) == "the stack is not up"


def test_watch_in_a_log_tells_only_changes_and_ends_with_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    sink, looks = io.StringIO(), iter([document(), document(memory_mb=50.0), document(services=SICK), None])

    def look() -> Any:
        found = next(looks)
        if found is None:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr("sys.stdout", sink)
    monkeypatch.setattr(overview, "PERIOD", 0)
    overview.watch(look, "stack local")
    assert sink.getvalue().count("next: ") == 2 and sink.getvalue().startswith("stack local\n")
