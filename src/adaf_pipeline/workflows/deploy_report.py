"""What a deploy says at its end: the document for machines, the lines for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from adaf_pipeline.event import Json
from adaf_pipeline.plan import Run
from adaf_pipeline.workflows.idle import anonymous
from adaf_pipeline.workflows.releases import Releases, live_colour
from adaf_pipeline.workflows.watch import Watch


def result(run: Run) -> Mapping[str, Json]:
    """Also for a run that failed: then ``release`` is what serves now, ``tried`` what did not hold."""
    stack = run.stack
    colours = Releases(stack.state).colours()
    live = live_colour(stack)
    watch = run.held("watch")
    document: dict[str, Json] = {
        "url": stack.proxy.url(),
        "release": str(colours.get(live, {}).get("release", "")),
        "weights": dict(stack.balancer.share()),
        "verdict": [*verdicts(run), *failed_verdict(run, watch)],
        "receipt": watch.receipt().json() if isinstance(watch, Watch) else None,
    }
    if isinstance(watch, Watch):
        document["tried"] = watch.release
        document["said"] = watch.receipt().text()
    return document


def verdicts(run: Run) -> list[dict[str, Json]]:
    """Each judged step's outcome with the counts it rests on, in order."""
    return [{"step": s, **o} for s, o in run.outputs.items() if isinstance(o, dict) and "outcome" in o]


def failed_verdict(run: Run, watch: object) -> list[dict[str, Json]]:
    """The verdict of the step that did not hold, which has no output."""
    if isinstance(watch, Watch) and watch.failed and watch.failed["step"] not in run.outputs:
        return [watch.failed]
    return []


def report(document: Mapping[str, Json]) -> Iterable[str]:
    """URL, what is live, what was measured, and what one does next."""
    yield f"{document['url']}   release {document['release']} is live"
    verdicts = document["verdict"]
    for outcome in dict.fromkeys(verdict["outcome"] for verdict in verdicts):
        yield f"  {outcome}: {', '.join(v['step'] for v in verdicts if v['outcome'] == outcome)}"
    if document.get("said"):
        yield f"  probes: {document['said']}"
        nameless = anonymous((document["receipt"] or {}).get("releases", ()))
        if nameless:
            yield f"  {nameless}"
    yield "next: inv status | inv rollback | inv logs --service proxy.1"
