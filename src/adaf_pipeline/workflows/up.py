"""Up: make the stack run as adaf.yaml describes it, and change or restart only what differs."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict

from adaf_pipeline.errors import PreconditionError, ServiceError
from adaf_pipeline.event import Json
from adaf_pipeline.plan import Facts, Plan, Run, Step
from adaf_pipeline.requests import Request, UpRequest
from adaf_pipeline.roles import Change, StackView
from adaf_pipeline.service import Service, Services, secret_names
from adaf_pipeline.workflows import processes
from adaf_pipeline.workflows.releases import Releases, live_colour


def gather(stack: StackView, request: Request) -> Facts:
    """Pure: what would be started, restarted or stopped, and which releases the colours hold."""
    services = stack.services()
    colours = Releases(stack.state).colours()
    apps = {service.id for service in _held(stack, colours)}
    observed = stack.runtime.observe()
    live = live_colour(stack)
    workers = {name for name, seen in observed.items() if seen.role == "worker"}  # a step of their own
    # what serves is nothing that `up` may stop: its record may be damaged, its files gone
    served = [colour for colour, percent in stack.balancer.share().items() if percent]
    serving = {name for app in stack.apps.values() for colour in served for name in processes.names(app, colour)}
    changes = [c for c in stack.runtime.changes(services, whole=True) if c.id not in apps | workers | serving]
    ours = tuple(f"{app}." for app in stack.apps)
    strange = [c.id for c in changes if c.kind == "stop" and live and f".{live}." in c.id and not c.id.startswith(ours)]
    if strange:
        raise PreconditionError(
            f"{strange[0]} serves, but adaf.yaml has no such application",
            "go back to its name under apps:, or `inv down` first: a renamed application is a new one",
        )
    return {
        "changes": [[c.id, c.kind, c.why] for c in changes],
        "colours": colours,
        "apps_down": sorted(i for i in apps if i not in observed or observed[i].state != "up"),
        "workers_amiss": [name for app in stack.apps.values() for name in processes.amiss(stack, app, live)],
        "growing": _growing(stack, live, changes),
        "live": live,
        "outdated": bool(live) and colours.get(live, {}).get("config") != config_digest(stack),
    }


def plan(stack: StackView, request: UpRequest, facts: Facts) -> Plan:
    """Secrets, services, database, the releases that the colours held, and the share as it was written down."""
    found = steps(stack, facts)
    if facts["workers_amiss"]:
        found += (_workers(stack, facts),)
    return Plan(request, facts, found, result=_result, report=_report)


def _workers(stack: StackView, facts: Facts) -> Step:
    """Last: a worker that does not start must not keep visitors from what serves them."""
    app, live = next(iter(stack.apps.values())), str(facts["live"])
    return Step(
        "workers",
        "the workers of the live release run, and no others",
        lambda run: processes.switch(run, app, live),
        plan=tuple(facts["workers_amiss"]),
        say=lambda o: ", ".join(o["workers"]) or "it has none",
    )


def steps(stack: StackView, facts: Facts) -> tuple[Step, ...]:
    """Deploy runs the same steps first."""
    services = stack.services()
    changes = [Change(*change) for change in facts["changes"]]
    ours = tuple(f"{app}." for app in stack.apps)
    stopped = [change.id for change in changes if change.kind == "stop"]
    gone = [name for name in stopped if not name.startswith(ours)]
    surplus = [name for name in stopped if name not in gone]  # replicas: the balancer forgets them first
    lines = tuple(f"{change.kind:8} {change.id:16} {change.why}" for change in changes if change.kind != "same")
    same = sum(change.kind == "same" for change in changes)
    lines += (f"{same} unchanged",) if same else ()

    def secrets(run: Run) -> Json:
        made = stack.secrets.ensure(secret_names((*services, *_bindings(stack))))
        return {"made": list(made)}

    def start(run: Run) -> Json:
        began = time.monotonic()
        if gone:
            stack.runtime.stop(gone, run.progress)
        try:
            stack.runtime.start((*services, *_at_once(run)), run.progress)
        except ServiceError:
            if not _at_once(run):
                raise
            stack.runtime.start(services, run.progress)  # whatever it was, `releases` says it of the one it is about
        if surplus:
            stack.runtime.stop(surplus, run.progress)
        return {"seconds": round(time.monotonic() - began, 2)}

    def prepare(run: Run) -> Json:
        stack.database.prepare()
        return {"level": stack.database.level()}

    def resume(run: Run) -> Json:
        started = []
        for service in _held(stack, facts["colours"]):
            if service.id not in facts["apps_down"]:
                continue
            try:
                stack.runtime.start((service,), run.progress)
                if not facts["growing"]:  # else the balancer does not know of it yet; `share` comes later
                    processes.locate(stack, [service.id])
            except ServiceError as exc:
                if service.colour == facts["live"]:
                    raise
                left = stack.balancer.share().get(service.colour, 0)  # of a canary whose run died
                mend = (
                    f"and has {left:g} % of the visitors: `inv rollback` takes them off"
                    if left
                    else "it was only kept warm"
                )
                run.progress(f"{exc.message}; {mend}")
                continue
            started.append(service.id)
        _note_settings(stack, started)
        return {"started": started}

    def share(run: Run) -> Json:
        """A restarted balancer reads its share from the disk; see that it did."""
        written, live = stack.balancer.share(), stack.balancer.live_share()
        served = [colour for colour, percent in written.items() if percent]
        serving = {name for app in stack.apps.values() for colour in served for name in processes.names(app, colour)}
        processes.locate(stack, sorted(n for n, seen in stack.runtime.observe().items() if n in serving and seen.ready))
        if written != live:
            stack.balancer.set_share(written)
            if stack.balancer.live_share() != written:
                raise ServiceError(f"the balancer applies {live}, not {written}", "inv logs --service balancer.1")
        return dict(written)

    found = [
        Step("secrets", "every password is generated, none is typed", secrets, say=_made),
        Step(
            "services",
            "what adaf.yaml describes runs",
            start,
            plan=lines,
            say=lambda o: f"all ready in {o['seconds']} s",
        ),
        Step("database", "the application's role, database and the record of migrations exist", prepare),
    ]
    if facts["apps_down"]:
        why = "the releases that were up before are up again"
        step = Step("releases", why, resume, plan=tuple(facts["apps_down"]), say=lambda o: ", ".join(o["started"]))
        found.insert(1 if facts["growing"] else len(found), step)
    found.append(Step("share", "the balancer applies the share that was written down", share, say=describe_share))
    return tuple(found)


def _growing(stack: StackView, live: str, changes: Iterable[Change]) -> bool:
    """More replicas of what serves: they start before the balancer sends anybody to them, not after."""
    restarts = any(c.kind == "restart" and c.id.startswith("balancer.") for c in changes)
    return restarts and any(len(processes.of_colour(stack, app, live)) < app.replicas for app in stack.apps.values())


def config_digest(stack: StackView) -> str:
    """What the application is run with, whichever release and colour: sha256 (hex, 16 digits)."""
    services = [asdict(service) for service in _bindings(stack)]
    return hashlib.sha256(json.dumps(services, sort_keys=True).encode()).hexdigest()[:16]


def describe_share(share: Mapping[str, float]) -> str:
    """``blue 95 %, green 5 %``."""
    return (
        ", ".join(f"{colour} {percent:g} %" for colour, percent in sorted(share.items()) if percent)
        or "nothing is live yet"
    )


def _held(stack: StackView, colours: Mapping[str, Mapping[str, Json]]) -> Services:
    """The Service of each colour's release that is still on the disk."""
    releases = Releases(stack.state)
    found: list[Service] = []
    for colour, content in sorted(colours.items()):
        release = str(content["release"])
        if releases.path(release).is_dir():
            found += [service for app in stack.apps.values() for service in processes.web(app, colour, release)]
    return tuple(found)


def _at_once(run: Run) -> Services:
    """Releases that need not wait for the step of their own: every password that they use is one that the database has."""
    facts = run.facts
    if facts["growing"] or run.outputs["secrets"]["made"]:
        return ()
    return tuple(s for s in _held(run.stack, facts["colours"]) if s.id in facts["apps_down"])


def _note_settings(stack: StackView, started: Collection[str]) -> None:
    """A colour of which every process was started runs with adaf.yaml as it is now, not as it was at its deploy."""
    releases, app = Releases(stack.state), next(iter(stack.apps.values()))
    for colour, content in releases.colours().items():
        if set(processes.names(app, colour)) <= set(started):
            releases.hold(colour, {**content, "config": config_digest(stack)})


def _bindings(stack: StackView) -> Services:
    """The applications' Services, for the secrets that only they use."""
    found: list[Service] = []
    for app in stack.apps.values():
        found += [app.service("blue", 1, ""), *processes.workers(app, {"release": "", "workers": app.workers})]
    return tuple(found)


def _made(output: Json) -> str:
    return f"made {', '.join(output['made'])}" if output["made"] else "all there"


def _result(run: Run) -> Mapping[str, Json]:
    stack = run.stack
    live = str(run.facts["live"])
    now = Releases(stack.state).colours().get(live, {})
    release = now.get("release", "")
    outdated = bool(live) and now.get("config") != config_digest(stack)
    return {"url": stack.proxy.url(), "release": release, "weights": run.outputs["share"], "outdated": outdated}


def _report(document: Mapping[str, Json]) -> Iterable[str]:
    what = f"release {document['release']} is live" if document["release"] else "nothing is live yet"
    lines = [f"{document['url']}   {what}"]
    if document["outdated"]:
        lines.append(
            "the application's settings in adaf.yaml changed: `inv deploy` brings them live, without an interruption"
        )
    return [*lines, "next: inv status | inv deploy --canary | inv logs --service proxy.1"]
