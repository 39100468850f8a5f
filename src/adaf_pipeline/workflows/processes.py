"""Which processes a release is: the web processes of its colour, and the workers, of which there is one set."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from adaf_pipeline.errors import ServiceError, UnhealthyError
from adaf_pipeline.event import Json
from adaf_pipeline.plan import Run
from adaf_pipeline.roles import App, Observed, StackView
from adaf_pipeline.service import Ref, Services
from adaf_pipeline.workflows.releases import Releases

STAYS = 1.0  # s a worker has to run before it counts as started: it has no readiness to ask for
LOOK = 0.1  # s between looks


def web(app: App, colour: str, release: str) -> Services:
    """One Service a replica."""
    return tuple(app.service(colour, number, release) for number in range(1, app.replicas + 1))


def names(app: App, colour: str) -> tuple[str, ...]:
    """The ids of a colour's web processes."""
    return tuple(f"{app.name}.{colour}.{number}" for number in range(1, app.replicas + 1))


def locate(stack: StackView, ids: Iterable[str]) -> None:
    """The balancer sends to where these web processes are now. ServiceError when it does not learn it."""
    stack.balancer.locate({name: Ref("instance", name, "http") for name in ids})


def content(app: App, release: str, config: Json) -> dict[str, Json]:
    """What is written down of a colour that is about to run ``release``; ``config``: digest of its Services."""
    commands = {name: list(words) for name, words in app.workers.items()}
    return {"release": release, "config": config, "at": time.time(), **({"workers": commands} if commands else {})}


def sick(stack: StackView, wanted: Iterable[str], observed: Mapping[str, Observed] | None = None) -> list[str]:
    """Why each of these does not answer, for those that do not: ``reason``, of several ``id: reason``."""
    observed, names = stack.runtime.observe() if observed is None else observed, list(wanted)
    bad = [name for name in names if name not in observed or not observed[name].ready]
    why = {name: observed[name].reason or "not ready" if name in observed else "it does not run" for name in bad}
    return [why[name] if len(names) == 1 else f"{name}: {why[name]}" for name in bad]


def workers(app: App, content: Mapping[str, Json]) -> Services:
    """The workers of what a colour holds (see Releases.hold): with its release, as adaf.yaml was when it started."""
    commands: Mapping[str, Json] = content.get("workers", {})
    return tuple(app.worker(name, tuple(words), str(content["release"])) for name, words in sorted(commands.items()))


def of_colour(stack: StackView, app: App, colour: str) -> list[str]:
    """Ids of the web processes that the runtime knows, also those beyond the wanted replicas."""
    return sorted(name for name in stack.runtime.observe() if name.startswith(f"{app.name}.{colour}."))


def amiss(stack: StackView, app: App, live: str) -> list[str]:
    """Pure read: the workers that do not run, or run another colour's release, or that ``live`` does not have."""
    content = Releases(stack.state).colours().get(live, {})
    wanted = {service.id for service in workers(app, content)}
    observed = stack.runtime.observe()
    running = {name for name, seen in observed.items() if seen.role == "worker" and name.startswith(f"{app.name}.")}
    if Releases(stack.state).workers() != live:
        return sorted(wanted | running)
    down = {name for name in wanted if name not in observed or observed[name].state != "up"}
    return sorted(down | (running - wanted))


def switch(run: Run, app: App, colour: str) -> Json:
    """The workers of ``colour``'s release run, and no others: each has ended before its successor starts.

    They are nobody's until it is done: a run that is killed meanwhile leaves them amiss. UnhealthyError for one that
    does not start or does not stay; "" = none at all.
    """
    stack, releases = run.stack, Releases(run.stack.state)
    wanted = workers(app, releases.colours().get(colour, {}))
    ids = {service.id for service in wanted}
    observed = stack.runtime.observe()
    releases.give_workers("")
    stack.runtime.stop([n for n in observed if observed[n].role == "worker" and n not in ids], run.progress)
    try:
        stack.runtime.start(wanted, run.progress)
    except ServiceError as exc:
        raise UnhealthyError(exc.message, exc.hint, detail=exc.detail) from exc
    releases.give_workers(colour)
    if wanted:
        _stay(run, ids)
    return {"workers": sorted(ids)}


def _stay(run: Run, ids: set[str]) -> None:
    """Each goes on as the process it is. A worker that ends at once is restarted by its supervisor, in vain."""
    began, looks = time.monotonic(), 0
    pids: dict[str, int] = {}
    while looks < 2 or time.monotonic() - began < STAYS:
        looks += 1
        observed = run.stack.runtime.observe()
        for name in sorted(ids):
            seen = observed.get(name)
            if seen is None or not seen.ready or pids.setdefault(name, seen.pid) != seen.pid:
                why = seen.reason if seen and seen.reason else "it ended and was started again"
                raise UnhealthyError(f"{name} does not stay up: {why}", f"inv logs --service {name}")
        run.wait(LOOK)
