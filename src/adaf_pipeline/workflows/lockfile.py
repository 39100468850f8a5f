"""Whether the application's packages are locked, by one manager, for what package.json says now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.event import Json
from adaf_pipeline.plan import Facts, Plan, Run, Step
from adaf_pipeline.requests import LockfileRequest
from adaf_pipeline.roles import App, Fault, StackView
from adaf_pipeline.workflows import build


def gather(stack: StackView, request: LockfileRequest) -> Facts:
    """Pure: what is wrong, and whether it can be mended here."""
    app = build.the_app(stack)
    locked = app.locked()
    faults = [{"what": f.what, "fixable": f.fix is not None} for f in locked.faults]
    return {"app": app.name, "how": locked.how, "faults": faults}


def plan(stack: StackView, request: LockfileRequest, facts: Facts) -> Plan:
    """With ``fix`` a step for each fault that can be mended; then one that refuses whatever is left."""
    app = build.the_app(stack)
    mended = [fault["what"] for fault in facts["faults"] if request.fix and fault["fixable"]]
    steps = [Step(f"fix-{number}", what, _mender(app, what)) for number, what in enumerate(mended, 1)]
    check = Step(
        "check", f"one lock, made for what {app.name} asks for", lambda _run: _check(app), say=lambda o: o["how"]
    )
    return Plan(
        request,
        facts,
        (*steps, check),
        result=lambda run: {**run.outputs["check"], "fixed": mended},
        report=_report,
    )


def _mender(app: App, what: str) -> Callable[[Run], Json]:
    def mend(run: Run) -> Json:
        found = next((fault for fault in app.locked().faults if fault.what == what), None)
        if found is not None and found.fix is not None:  # else an earlier step mended both
            found.fix(run.progress)
        return {"fixed": what}

    return mend


def _check(app: App) -> Json:
    locked = app.locked()
    if locked.faults:
        first, *others = locked.faults
        mend = f"{first.hint} (or: inv lockfile --fix)" if first.fix else first.hint
        raise PreconditionError(first.what, mend, detail=(*first.detail, *_told(others)))
    return {"app": app.name, "how": locked.how or "nothing is locked: its backend has no lock file"}


def _told(faults: Iterable[Fault]) -> Iterable[str]:
    """Those after the first, with their commands: whoever mends wants to see all of them."""
    for fault in faults:
        yield f"also: {fault.what}"
        yield from (f"      {line}" for line in (*fault.detail, fault.hint))


def _report(document: Mapping[str, Json]) -> Iterable[str]:
    return [f"apps/{document['app']}: {document['how']}"]
