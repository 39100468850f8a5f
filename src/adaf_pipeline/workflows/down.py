"""Down: stop everything; with ``purge`` delete it, and say what goes."""

from __future__ import annotations

from collections.abc import Mapping

from adaf_pipeline.event import Json
from adaf_pipeline.plan import Facts, Plan, Run, Step
from adaf_pipeline.requests import DownRequest
from adaf_pipeline.roles import StackView
from adaf_pipeline.workflows.releases import Releases


def gather(stack: StackView, request: DownRequest) -> Facts:
    """Pure: what runs, and what a purge would delete."""
    running = sorted(i for i, seen in stack.runtime.observe().items() if seen.state != "down")
    return {"running": running, "state": str(stack.state), "releases": Releases(stack.state).all()}


def plan(stack: StackView, request: DownRequest, facts: Facts) -> Plan:
    """One step; data stay unless they are purged."""

    def down(run: Run) -> Json:
        stack.runtime.down(purge=request.purge, progress=run.progress)
        return {"stopped": facts["running"], "purged": request.purge}

    lines = tuple(f"stop {service}" for service in facts["running"])
    why = "stop every service; data, releases and secrets stay"
    if request.purge:
        why = "stop every service and delete its data"
        lines += (f"delete {facts['state']}: database, cache, secrets, {len(facts['releases'])} releases, journals",)
    said = "everything is stopped" + (" and deleted" if request.purge else "; `inv up` brings it back")
    return Plan(request, facts, (Step("down", why, down, plan=lines, say=lambda _o: said),), result=_result)


def _result(run: Run) -> Mapping[str, Json]:
    return dict(run.outputs["down"])
