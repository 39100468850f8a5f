"""Rollback: a flip while the old colour is warm, a start of the old release otherwise. Never towards an unhealthy one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from adaf_pipeline.errors import PreconditionError, ServiceError, UnhealthyError
from adaf_pipeline.event import Json
from adaf_pipeline.plan import Facts, Plan, Run, Step
from adaf_pipeline.requests import RollbackRequest
from adaf_pipeline.roles import StackView
from adaf_pipeline.workflows import idle, origin, processes
from adaf_pipeline.workflows.releases import Releases, live_colour, other
from adaf_pipeline.workflows.up import config_digest, describe_share
from adaf_pipeline.workflows.watch import Watch

SETTINGS = " with the settings that it had before"
TAKEN_BACK = ", which its newest deploy took back: no verdict looks at it now"
AFTER = 2.0  # seconds of probes after the flip, for the receipt


def gather(stack: StackView, request: RollbackRequest) -> Facts:
    """Pure: from which release to which, and whether that one is still running.

    After a deploy that changed nothing but settings the two are one release, and the other colour has it as it was.
    """
    releases = Releases(stack.state)
    live = live_colour(stack)
    if not live:
        raise PreconditionError("nothing is live, so there is nothing to roll back", "inv deploy --canary")
    colours = releases.colours()

    def held(colour: str) -> str:
        return str(colours.get(colour, {}).get("release", ""))

    if stack.balancer.share().get(live, 0) < 100 and not request.to:
        back, target, current = live, held(live), held(other(live))  # a canary whose run died: off with it
    elif not request.to and _only_settings(stack, releases, live):
        back, target, current = other(live), held(live), held(live)
    else:
        current = held(live)
        target = releases.find(request.to) if request.to else releases.previous_good(current)
        back = other(live) if target != current else live
        if target == current and stack.balancer.share().get(live, 0) >= 100:
            raise PreconditionError(f"release {target} is live already", "inv releases lists the others")
    if not target:
        raise PreconditionError(
            f"no good release before {current}", "inv releases lists all; inv rollback --to ID takes one"
        )
    app = next(iter(stack.apps.values()))
    observed = stack.runtime.observe()
    up = all(name in observed and observed[name].state == "up" for name in processes.names(app, back))
    warm = held(back) == target and up
    content = colours.get(back, {}) if warm else processes.content(app, target, config_digest(stack))
    workers = bool(content.get("workers") or processes.amiss(stack, app, live) or colours.get(live, {}).get("workers"))
    left = not warm and back != live and stack.balancer.share().get(back, 0) > 0  # by a canary whose run died
    return {
        "current": current,
        "target": target,
        "back": back,
        "warm": warm,
        "settle": left,
        "app": app.name,
        "workers": workers,
        "taken_back": bool(request.to) and releases.taken_back(target),
    }


def _only_settings(stack: StackView, releases: Releases, live: str) -> bool:
    """The newest change was a deploy of the release that was live, with other settings; the one before is still warm."""
    colours, app = releases.colours(), next(iter(stack.apps.values()))
    now, before = colours.get(live, {}), colours.get(other(live), {})
    newest = next((entry for entry in reversed(releases.history()) if entry.get("outcome") == "live"), {})
    return (
        newest.get("task") == "deploy"
        and newest.get("release") == newest.get("replaced") == now.get("release") == before.get("release")
        and now.get("config") != before.get("config")
        and not processes.sick(stack, processes.names(app, other(live)))
    )


def plan(stack: StackView, request: RollbackRequest, facts: Facts) -> Plan:
    """Start it if need be, see that it answers, flip."""
    releases = Releases(stack.state)
    back, target = str(facts["back"]), str(facts["target"])
    app = stack.apps[str(facts["app"])]
    names = processes.names(app, back)
    name = ", ".join(names)

    def start(run: Run) -> Json:
        try:
            if stack.balancer.share().get(back, 0):  # what of it still runs has visitors: only the rest starts
                stack.runtime.start(processes.web(app, back, target), run.progress)
                return {"release": target, "services": list(names)}
            return idle.start(run, app, back, target, config_digest(stack))
        except (ServiceError, UnhealthyError) as exc:
            hint = f"release {facts['current']} still serves; {exc.hint}"
            raise UnhealthyError(exc.message, hint, detail=exc.detail) from exc

    def settle(_run: Run) -> Json:
        stack.balancer.set_share({other(back): 100.0, back: 0.0})
        return dict(stack.balancer.share())

    def stop(run: Run) -> Json:
        if not stack.balancer.share().get(back, 0):
            idle.stop(run, app, back)
        return None

    def answers(_run: Run) -> Json:
        sick = processes.sick(stack, names)
        if sick:
            raise UnhealthyError(
                f"{name} with release {target} does not answer: {'; '.join(sick)}",
                f"release {facts['current']} still serves; inv logs --service {names[0]}",
            )
        processes.locate(stack, names)
        return {"services": list(names)}

    def flip(run: Run) -> Json:
        watch = run.resource("watch", lambda: Watch(run, back, other(back), target))
        began = time.monotonic()
        stack.balancer.set_share({back: 100.0, other(back): 0.0})
        seconds = time.monotonic() - began
        watch.share_changed(alone=True)
        releases.confirm(back)
        moved = {"release": target, "replaced": facts["current"], "outcome": "live"}
        releases.note({"task": "rollback", "run": run.id, **origin.by(stack), **moved})
        return {"share": dict(stack.balancer.share()), "flip_seconds": round(seconds, 4)}

    def receipt(run: Run) -> Json:
        run.wait(AFTER)
        watch = run.held("watch")
        if not isinstance(watch, Watch):
            return None
        watch.stream.stop()
        counted = watch.receipt().json()
        releases.note({"task": "rollback", "run": run.id, "release": target, "outcome": "measured", "receipt": counted})
        return counted

    remark = SETTINGS if facts["current"] == target else TAKEN_BACK if facts["taken_back"] else ""
    steps = [] if facts["warm"] else [Step("start", f"{target} starts again as {name}", start, undo=stop)]
    if facts["settle"]:
        why = f"a run that died left {back} a share: all visitors to {other(back)} while it is replaced"
        steps.insert(0, Step("settle", why, settle, say=describe_share))
    steps += [
        Step("ready", f"{name} answers: never roll back to what does not", answers),
        Step(
            "flip",
            f"all visitors from {facts['current']} to {target}{remark}",
            flip,
            pivot=True,
            say=lambda o: f"{describe_share(o['share'])} after {o['flip_seconds'] * 1000:.0f} ms",
        ),
        Step("receipt", "what the probes saw", receipt),
    ]
    if facts["workers"]:  # after the visitors: a worker that does not start must not keep them on a bad release
        why = f"each worker of {facts['current']} ends, then the one of {target} starts: never both"
        steps.insert(
            -1,
            Step(
                "workers",
                why,
                lambda run: processes.switch(run, app, back),
                say=lambda o: ", ".join(o["workers"]) or "it has none",
            ),
        )
    return Plan(request, facts, tuple(steps), result=_result, report=_report)


def _result(run: Run) -> Mapping[str, Json]:
    return {
        "url": run.stack.proxy.url(),
        "release": run.facts["target"] if "flip" in run.outputs else run.facts["current"],
        "weights": dict(run.stack.balancer.share()),
        "replaced": run.facts["current"],
        "flip_seconds": run.outputs["flip"]["flip_seconds"],
        "receipt": run.outputs.get("receipt"),
    }


def _report(document: Mapping[str, Json]) -> Iterable[str]:
    receipt, release = document["receipt"] or {}, document["release"]
    said = f"release {release} is live instead of {document['replaced']}"
    if release == document["replaced"]:
        said = f"release {release} is live{SETTINGS}; adaf.yaml has the newer ones, which the next deploy brings"
    errors = receipt.get("errors", 0)
    return [
        f"{document['url']}   {said}",
        f"  the flip took {document['flip_seconds'] * 1000:.0f} ms; probes: {receipt.get('sent', 0):,} sent, "
        f"{receipt.get('lost', 0):,} lost, {errors:,} errors",
        "next: inv status | "
        + ("inv logs --service proxy.1 | " if errors else "")
        + "inv releases | inv deploy --canary",
    ]
