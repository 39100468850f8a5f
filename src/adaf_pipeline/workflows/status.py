"""Status and releases: what is, read and probed now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from adaf_pipeline import journal, lock
from adaf_pipeline.errors import AdafError
from adaf_pipeline.event import Json
from adaf_pipeline.roles import StackView
from adaf_pipeline.workflows import build, processes
from adaf_pipeline.workflows.releases import Releases, live_colour
from adaf_pipeline.workflows.up import describe_share


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
    return {
        "ok": not bad,
        "url": stack.proxy.url(),
        "release": str(releases.colours().get(live, {}).get("release", "")),
        "weights": dict(share),
        "live": live,
        "services": sorted(services, key=lambda s: str(s["name"])),
        "memory_mb": round(sum(float(str(s["memory_mb"])) for s in services), 1),
        "running": running and {**running, **_progress(stack, str(running["run"]))},
        "bad": bad,
    }


def _progress(stack: StackView, run: str) -> dict[str, Json]:
    """At which step a run is, by its journal, and whether it holds at canary steps."""
    try:
        events = list(journal.read(journal.directory(stack.state) / f"{run}.jsonl"))
    except OSError:  # about to be written, or somebody else's
        events = []
    steps = [event.step for event in events if event.kind in ("begin", "undo")]
    hold = bool(events and events[0].data.get("request", {}).get("hold"))
    return {"step": steps[-1] if steps else "", "hold": hold}


def status_lines(document: Mapping[str, Json]) -> Iterable[str]:
    """One screen, with the next sensible command."""
    live = (
        f"release {document['release']} ({describe_share(document['weights'])})"
        if document["release"]
        else "nothing is live"
    )
    yield f"{document['url']}   {live}"
    if document["running"]:
        record = document["running"]
        at = f", at {record['step']}" if record["step"] else ""
        yield f"running now: {record['task']} by {record['who']} (pid {record['pid']}){at}"
        if record["hold"] and record["step"].startswith("canary-"):
            yield "it is held there, and watched: inv promote | inv rollback"
    yield f"{'service':18} {'state':7} {'ready':6} {'memory':>9}  reason"
    for service in document["services"]:
        ready = "yes" if service["ready"] else "no"
        memory = f"{service['memory_mb']:.1f} MB" if service["memory_mb"] else ""
        yield f"{service['name']:18} {service['state']:7} {ready:6} {memory:>9}  {service['reason']}".rstrip()
    yield f"{'all':18} {'':7} {'':6} {document['memory_mb']:>6.1f} MB"
    if document["bad"]:
        last = str(document["bad"][-1])
        yield last if " " in last else f"next: inv up | inv logs --service {last}"
    else:
        yield "next: inv deploy --canary" if not document["release"] else "next: inv deploy --canary | inv releases"


def releases(stack: StackView, show: str = "") -> dict[str, Json]:
    """Every release on the disk with its place; with ``show`` the whole story of one."""
    store = Releases(stack.state)
    colours = {str(content["release"]): colour for colour, content in store.colours().items()}
    live = live_colour(stack)
    if show:
        release = store.find(show)
        story = [entry for entry in store.history() if release in (entry.get("release"), entry.get("replaced"))]
        return {"ok": True, "release": release, "record": store.record(release), "story": story}
    history = store.history()
    rows = []
    for release in store.all():
        deploys = [entry for entry in history if entry.get("release") == release]
        colour = colours.get(release, "")
        place = "live" if colour and colour == live else "warm" if colour else ""
        last = deploys[-1] if deploys else {}
        rows.append(
            {"release": release, "place": place, "colour": colour, "last": last, **_times(store.record(release))}
        )
    return {"ok": True, "releases": rows}


def _times(record: Mapping[str, Json]) -> dict[str, Json]:
    return {"built": record.get("built", 0), "seconds": record.get("seconds", 0)}


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
    except AdafError as exc:
        found.append({"role": "apps", "ok": False, "what": exc.message, "hint": exc.hint})
    return found
