"""Deploy: build, migrate, start the idle colour, move visitors step by step, and go back by itself when it fails."""

from __future__ import annotations

import shutil
from pathlib import Path

from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.event import Json
from adaf_pipeline.plan import Facts, Plan
from adaf_pipeline.requests import BuildRequest, DeployRequest
from adaf_pipeline.roles import StackView
from adaf_pipeline.workflows import build, processes, up
from adaf_pipeline.workflows.deploy_report import report, result
from adaf_pipeline.workflows.deploy_steps import DeploySteps
from adaf_pipeline.workflows.releases import Releases, live_colour, other

RESERVE_MB = 200  # left over on disk and in memory after everything a deploy needs


def gather(stack: StackView, request: DeployRequest) -> Facts:
    """Pure: what is live, what these inputs gave, what there is room for."""
    releases = Releases(stack.state)
    live = live_colour(stack)
    facts: dict[str, Json] = {
        **up.gather(stack, request),
        "live": live,
        "idle": other(live) if live else "blue",
        "share": dict(stack.balancer.share()),
        "disk_mb": shutil.disk_usage(stack.state).free // 2**20,
        "memory_mb": _free_memory() + _taken(stack, other(live) if live else "blue"),
        "config": up.config_digest(stack),
    }
    if request.release:
        facts["release"] = releases.find(request.release)
        facts["build"] = None
    else:
        facts["build"] = dict(build.gather(stack, BuildRequest()))
        facts["release"] = facts["build"]["built"]
    facts["apps_down"] = [
        name for name in facts["apps_down"] if f".{live}." in name
    ]  # the idle colour is replaced anyway
    serving_now = processes.names(build.the_app(stack), live)
    facts["answers"] = len(processes.sick(stack, serving_now)) < len(serving_now)
    held = facts["colours"].get(live, {})
    whole = facts["share"].get(live, 0) >= 100
    serving = not facts["apps_down"] and not facts["workers_amiss"]
    same = bool(live) and held.get("release") == facts["release"] and held.get("config") == facts["config"]
    fresh = all(kind == "same" for _id, kind, _why in facts["changes"]) and releases.confirmed() == live
    facts["unchanged"] = same and whole and serving and fresh and not request.force
    return facts


def plan(stack: StackView, request: DeployRequest, facts: Facts) -> Plan:
    """The whole way of a release; nothing when it is what serves already."""
    if facts["unchanged"]:
        release = str(facts["release"])
        return Plan(
            request,
            facts,
            (),
            nothing=f"release {release} is live already, and nothing changed (--force deploys it again)",
            result=lambda run: {"url": stack.proxy.url(), "release": release, "weights": facts["share"]},
        )
    _room(stack, facts)
    disturbing = [f"{name} ({kind})" for name, kind, _why in facts["changes"] if kind in ("restart", "stop")]
    if facts["live"] and disturbing:  # their interruption would be no release's doing, and on no receipt
        raise PreconditionError(
            f"adaf.yaml changed what runs besides the application: {', '.join(disturbing)}",
            "`inv up` first, then deploy",
        )
    making = DeploySteps(stack, request, facts)
    steps = (
        *up.steps(stack, facts),
        *(build.steps(stack, facts["build"]) if facts["build"] and not facts["release"] else ()),
        *making.steps(),
    )
    return Plan(request, facts, steps, summary=making.summary, result=result, report=report)


def _room(stack: StackView, facts: Facts) -> None:
    """Two colours at once need memory, a build and a release need disk: refuse before anything is touched."""
    memory = sum(app.service("blue", 1, "").limits.memory_mb * app.replicas for app in stack.apps.values())
    if memory and facts["memory_mb"] < memory + RESERVE_MB:
        raise PreconditionError(
            f"{facts['memory_mb']} MB of memory are free, a second colour may take {memory} + {RESERVE_MB} MB",
            "free some, or lower memory_mb in adaf.yaml",
        )
    need = RESERVE_MB + (1000 if facts["build"] and not facts["release"] else 0)
    if facts["disk_mb"] < need:
        raise PreconditionError(
            f"{facts['disk_mb']} MB of disk are free, {need} MB are needed",
            f"`inv prune` frees what nothing needs; the stack's directory is {stack.state}",
        )


def _taken(stack: StackView, colour: str) -> int:
    """MB of a colour that ends before the release starts in its place."""
    observed = stack.runtime.observe()
    mine = {name for app in stack.apps.values() for name in processes.of_colour(stack, app, colour)}
    return int(sum(seen.memory_mb for name, seen in observed.items() if name in mine))


def _free_memory() -> int:
    """MemAvailable of proc(5), in MB."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return 0
