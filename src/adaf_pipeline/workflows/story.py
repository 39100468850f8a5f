"""Every release with its place, and the story of one: how it was built, and each deploy and rollback it took part in."""

from __future__ import annotations

from collections.abc import Mapping

from adaf_pipeline import journal
from adaf_pipeline.event import Json
from adaf_pipeline.roles import StackView
from adaf_pipeline.workflows.releases import Releases, live_colour


def releases(stack: StackView) -> dict[str, Json]:
    """What is on the disk, oldest first."""
    store = Releases(stack.state)
    history = store.history()
    rows: list[dict[str, Json]] = []
    for release in store.all():
        went = [entry for entry in history if entry.get("release") == release and entry.get("outcome") != "measured"]
        record = store.record(release)
        times = {"built": record.get("built", 0), "seconds": record.get("seconds", 0)}
        rows.append({"release": release, **_place(stack, release), "last": went[-1] if went else {}, **times})
    return {"ok": True, "releases": rows}


def of_release(stack: StackView, beginning: str) -> dict[str, Json]:
    """The story of the release whose id begins so; what a journal still says of each run is part of it."""
    store = Releases(stack.state)
    release = store.find(beginning)
    story: list[dict[str, Json]] = []
    for entry in store.history():
        if story and entry.get("outcome") == "measured" and entry.get("run") == story[-1].get("run"):
            story[-1]["receipt"] = entry.get("receipt")
        elif release in (entry.get("release"), entry.get("replaced")):
            story.append({**entry, **_journaled(stack, str(entry.get("run", "")))})
    document = {"ok": True, "release": release, **_place(stack, release), "record": store.record(release)}
    return {**document, "story": story, "next": _next(store, document, story)}


def _place(stack: StackView, release: str) -> dict[str, str]:
    colours = {str(content["release"]): colour for colour, content in Releases(stack.state).colours().items()}
    colour = colours.get(release, "")
    place = "live" if colour and colour == live_colour(stack) else "warm" if colour else ""
    if place == "warm" and stack.balancer.share().get(colour, 0) > 0:
        place = "canary"
    return {"place": place, "colour": colour}


def _next(store: Releases, document: Mapping[str, Json], story: list[dict[str, Json]]) -> list[str]:
    release = str(document["release"])
    if document["place"] == "live":
        return ["inv rollback"] if store.previous_good(release) else ["inv status"]
    if any(entry["release"] == release and entry["outcome"] == "live" for entry in story):
        return [f"inv rollback --to {release}"]
    if document["place"] == "canary":
        return ["inv status"]
    if story and story[-1]["release"] == release and story[-1]["outcome"] == "rolled back":
        return ["inv deploy --canary", "inv releases"]  # mended, not this one again
    return [f"inv deploy --canary --release {release}"]


def _journaled(stack: StackView, run: str) -> Mapping[str, Json]:
    """Steps with their seconds, what was taken back, and how long it took; {} when the journal is gone, or not ours."""
    try:
        events = list(journal.read(journal.directory(stack.state) / f"{run}.jsonl"))
    except OSError:
        return {}
    if not events:
        return {}
    ended = {event.step: event for event in events if event.kind in ("done", "failed")}
    return {
        "seconds": round(events[-1].at - events[0].at, 1),
        "steps": [
            {"id": step, "ok": event.kind == "done", "seconds": event.data.get("seconds", 0), "said": event.message}
            for step, event in ended.items()
        ],
        "undone": [event.step for event in events if event.kind == "undone"],
        "undo_failed": [{"id": e.step, "error": e.message} for e in events if e.kind == "undo-failed"],
    }
