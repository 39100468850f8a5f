"""Status: what is, read and probed now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from adaf_pipeline import journal, lock
from adaf_pipeline.errors import AdafError
from adaf_pipeline.event import Json
from adaf_pipeline.roles import Observed, StackView
from adaf_pipeline.workflows import build, processes
from adaf_pipeline.workflows.disk import disk
from adaf_pipeline.workflows.releases import Releases, live_colour


def status(stack: StackView) -> dict[str, Json]:
    """``ok`` when every service that is described runs and answers, and the live release does."""
    releases = Releases(stack.state)
    observed = stack.runtime.observe()
    live = live_colour(stack)
    expected = [service.id for service in stack.services()]
    share = stack.balancer.share()
    served = [colour for colour, percent in sorted(share.items()) if percent]
    expected += [name for app in stack.apps.values() for colour in served for name in processes.names(app, colour)]
    running = lock.owner(stack.state)
    workers = {name for app in stack.apps.values() for name in processes.amiss(stack, app, live)}
    expected += sorted(workers)
    services = [
        {
            "name": seen.id,
            "role": seen.role,
            "state": seen.state,
            "ready": seen.ready,
            "reason": seen.reason,
            "pid": seen.pid,
            "memory_mb": seen.memory_mb,
        }
        for seen in observed.values()
    ]
    services += [
        {"name": name, "role": "", "state": "down", "ready": False, "reason": "not started", "pid": 0, "memory_mb": 0.0}
        for name in expected
        if name not in observed
    ]
    bad = [s["name"] for s in services if s["name"] in expected and not s["ready"]]
    if running is None and workers and releases.workers() != live:
        bad.append("the workers are not those of the live release: inv up")
    if running is None and len([percent for percent in share.values() if percent]) > 1:
        bad.append("a deploy died in its canary: inv rollback")
    bad += [f"{name} runs, but adaf.yaml has no such application: inv down" for name in _nameless(stack, observed)][:1]
    document: dict[str, Json] = {
        "ok": not bad,
        "url": stack.proxy.url(),
        "maintenance": stack.proxy.maintenance(),
        "release": str(releases.colours().get(live, {}).get("release", "")),
        "weights": dict(share),
        "live": live,
        "services": sorted(services, key=lambda s: str(s["name"])),
        "memory_mb": round(sum(float(str(s["memory_mb"])) for s in services), 1),
        "running": running and {**running, **_progress(stack, str(running["run"]))},
        "bad": bad,
        "disk": disk(stack),
    }
    return {**document, "next": next_steps(document)}


def _nameless(stack: StackView, observed: Mapping[str, Observed]) -> list[str]:
    """Processes of an application that was renamed while it runs: `up` and `deploy` refuse to go on then."""
    ours = tuple(f"{name}." for name in stack.apps)
    return sorted(i for i, seen in observed.items() if seen.role == "app" and seen.ready and not i.startswith(ours))


def _progress(stack: StackView, run: str) -> dict[str, Json]:
    """Where a run is, by its journal: its step, its newest word, and whether it holds at canary steps."""
    try:
        events = list(journal.read(journal.directory(stack.state) / f"{run}.jsonl"))
    except OSError:  # about to be written, or somebody else's
        events = []
    steps = [event for event in events if event.kind in ("begin", "undo")]
    told = [event for event in events if event.kind == "progress" and steps and event.seq > steps[-1].seq]
    return {
        "step": steps[-1].step if steps else "",
        "undoing": bool(steps) and steps[-1].kind == "undo",
        "hold": bool(events and events[0].data.get("request", {}).get("hold")),
        "said": told[-1].message if told else "",
    }


def next_steps(document: Mapping[str, Json]) -> list[str]:
    """The commands that make sense now, the likeliest first; none while another task has to end."""
    running = document["running"]
    if running:
        reachable = running["task"] == "deploy" and not running["undoing"]
        ways = ["inv promote"] if running["step"].startswith("canary-") else []
        return [*ways, "inv rollback"] if reachable else []
    if not any(service["state"] == "up" for service in document["services"]):
        return ["inv up"]
    if document["bad"]:
        said = str(document["bad"][-1])
        if " " in said:  # a sentence that ends with its command
            return [said.rpartition(": ")[2]]
        states = {service["name"]: service["state"] for service in document["services"]}
        look = f"inv logs --service {said}"
        return [look, "inv up"] if states.get(said) in ("up", "failed") else ["inv up", look]
    ways = ["inv deploy --canary", "inv releases"] if document["release"] else ["inv deploy --canary"]
    return ["inv prune", *ways] if document["disk"]["low"] else ways


def findings(stack: StackView) -> list[dict[str, Json]]:
    """Every role's doctor; one that cannot even be asked is a finding too."""
    found: list[dict[str, Json]] = []
    roles = ("runtime", "database", "cache", "balancer", "proxy", "secrets")
    for role in roles:
        try:
            found += [{"role": role, **asdict(finding)} for finding in getattr(stack, role).doctor()]
        except AdafError as exc:
            refused = {"ok": False, "what": exc.message, "hint": exc.hint}
            if not any(refused.items() <= earlier.items() for earlier in found):  # what no role can do without
                found.append({"role": role, **refused})
    try:
        for app in stack.apps.values():
            build.check(stack, app)
            found += [{"role": f"apps/{app.name}", "ok": True, "what": "can be built", "hint": ""}]
            found += [{"role": f"apps/{app.name}", **asdict(finding)} for finding in app.doctor()]
            found += [
                {
                    "role": f"apps/{app.name}",
                    "ok": True,
                    "what": f"{use.env}: secret {use.name} in the environment",
                    "hint": "",
                }
                for use in app.service("blue", 1, "").secrets
                if use.env
            ]
    except AdafError as exc:
        found.append({"role": "apps", "ok": False, "what": exc.message, "hint": exc.hint})
    return found
