"""The idle colour: from what it held before to a release that answers and is warm. Nobody is sent to it meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from adaf_pipeline.config import DeploySettings, ProbeSettings
from adaf_pipeline.errors import ServiceError, UnhealthyError
from adaf_pipeline.event import Json
from adaf_pipeline.plan import Run
from adaf_pipeline.roles import App
from adaf_pipeline.service import Ref
from adaf_pipeline.workflows import probe, processes
from adaf_pipeline.workflows.releases import Releases, live_colour

WARM_RATE = 20.0  # requests/s: below what any application serves while it is cold


def start(run: Run, app: App, colour: str, release: str, config: Json, within: float = 0) -> Json:
    """The release runs as ``colour``: its last requests end first, then what it held makes room.

    Written down before it is done. ``within``: seconds a first answer may take, 0 = what its Service says.
    UnhealthyError when it does not start.
    """
    stack = run.stack
    services = tuple(
        replace(service, ready=replace(service.ready, deadline=within)) if service.ready and within else service
        for service in processes.web(app, colour, release)
    )
    deadline = time.monotonic() + max(service.stop_grace for service in services)
    while stack.balancer.active(colour) and time.monotonic() < deadline:
        run.progress(f"waiting for the last requests on {colour}")
        run.wait(0.5)
    stack.runtime.stop(processes.of_colour(stack, app, colour), run.progress)
    releases = Releases(stack.state)
    if releases.confirmed() == colour:  # a run died before its pivot: what was confirmed here is not what comes now
        releases.confirm(live_colour(stack))
    releases.hold(colour, processes.content(app, release, config))
    try:
        stack.runtime.start(services, run.progress)
        processes.locate(stack, [service.id for service in services])
    except ServiceError as exc:
        raise UnhealthyError(exc.message, exc.hint, detail=exc.detail) from exc
    return {"release": release, "services": [service.id for service in services]}


def stop(run: Run, app: App, colour: str) -> None:
    """End it and forget what it held. ServiceError while it has visitors: then it goes on."""
    left = run.stack.balancer.share().get(colour, 0)
    if left:
        raise ServiceError(f"{colour} still has {left:g} % of the visitors, so it goes on", "inv status, inv rollback")
    run.stack.runtime.stop(processes.of_colour(run.stack, app, colour), run.progress)
    Releases(run.stack.state).hold(colour, None)


def await_ready(run: Run, names: Sequence[str], settings: DeploySettings) -> Json:
    """N answers in a row by the same processes: a crash loop that answers now and then does not pass."""
    began, passes, pids, reason = time.monotonic(), 0, [0], "not asked yet"
    while passes < settings.passes:
        if time.monotonic() - began > settings.ready_timeout:
            raise UnhealthyError(
                f"{', '.join(names)} did not answer {settings.passes} times in a row within "
                f"{settings.ready_timeout:g} s: {reason}",
                f"inv logs --service {names[0]}",
            )
        observed = run.stack.runtime.observe()
        sick = processes.sick(run.stack, names, observed)
        now = [observed[name].pid for name in names if name in observed]
        if not sick and (passes == 0 or now == pids):
            passes, pids = passes + 1, now
        else:
            passes, reason = 0, "; ".join(sick) or "it was restarted meanwhile"
        run.wait(0.2 if passes < settings.passes else 0)
    processes.locate(run.stack, names)  # a restart since its start may have moved one
    return {"said": f"{passes} of {passes} in {time.monotonic() - began:.1f} s"}


def warm_up(run: Run, names: Sequence[str], seconds: float, wanted: ProbeSettings) -> Json:
    """Straight to each process, past the balancer. What it answers is the canary's business, not this step's."""
    rate = WARM_RATE / len(names)
    settings = probe.ProbeSettings(rate=rate, get=wanted.paths, post=wanted.post, timeout=wanted.timeout)

    def stream(name: str) -> probe.ProbeStream:
        address = run.stack.runtime.resolve(Ref("instance", name, "http"))
        return run.resource(f"warm {name}", lambda: probe.ProbeStream(f"http://{address}", settings))

    streams = [stream(name) for name in names]
    for each in streams:
        each.start()
    run.wait(seconds)
    results = sorted((result for each in streams for result in each.stop()), key=lambda result: result.sent_at)
    times = [result.seconds * 1000 for result in results] or [0.0]
    said = f"{len(times)} requests, first {times[0]:.0f} ms, last {times[-1]:.0f} ms"
    nameless = anonymous(result.release for result in results if not result.error)
    return {"requests": len(times), "said": f"{said}; {nameless}" if nameless else said}


def anonymous(releases: Iterable[str]) -> str:
    """What is to be said about answers of which none names its release; "" when one does, or there are none."""
    names = set(releases)
    if not names or names - {""}:
        return ""
    return "no answer has the header x-release-id (docs/applications.md): whose it was cannot be told, and a 5xx counts as lost"
