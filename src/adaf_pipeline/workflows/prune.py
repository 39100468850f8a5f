"""Prune: remove what nothing needs any more, after saying what that is. Data, and what is not ours, stay."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from adaf_pipeline.errors import AdafError
from adaf_pipeline.event import Json
from adaf_pipeline.plan import Facts, Plan, Run, Step
from adaf_pipeline.requests import PruneRequest
from adaf_pipeline.roles import StackView
from adaf_pipeline.workflows import tree
from adaf_pipeline.workflows.releases import Releases
from adaf_pipeline.workflows.sizes import Size, human, measure
from adaf_pipeline.workflows.spare import Search

PATIENCE = 10.0  # seconds in which sizes are counted; what is left then is "at least"
WHY = {
    "releases": "releases that nothing needs",
    "builds": "what builds left over",
    "journals": "old journals",
    "logs": "logs of services that are gone",
    "leftovers": "left by runs that were killed, or of what is gone",
}


def gather(stack: StackView, request: PruneRequest) -> Facts:
    """Pure: what may go, how big it is and why, and what is not ours."""
    search = Search(stack)
    deadline = time.monotonic() + PATIENCE
    items = []
    for spare in search.all():
        size = measure([spare.path], deadline)
        path = spare.path.relative_to(stack.state).as_posix()
        items.append({"kind": spare.kind, "path": path, "bytes": size.bytes, "whole": size.whole, "why": spare.why})
    return {"state": str(stack.state), "items": items, "strange": search.strange}


def plan(stack: StackView, request: PruneRequest, facts: Facts) -> Plan:
    """One step a kind. Nothing is undone: what goes is what nothing needs."""
    size = _size(facts["items"])
    if not facts["items"]:
        nothing = f"nothing to prune{_strange(facts['strange'])}"
        return Plan(request, facts, (), nothing=nothing, result=_result)
    steps = tuple(
        _step(stack, kind, [item for item in facts["items"] if item["kind"] == kind])
        for kind in WHY
        if any(item["kind"] == kind for item in facts["items"])
    )
    summary = f"frees {size}{_strange(facts['strange'])}"
    return Plan(request, facts, steps, summary=summary, result=_result, report=_report)


def _step(stack: StackView, kind: str, items: list[dict[str, Json]]) -> Step:
    def remove(run: Run) -> Json:
        gone, stays = [], []
        releases = Releases(stack.state)
        for item in items:
            run.check()
            path = stack.state / item["path"]
            try:
                if kind == "releases":
                    if path.name in releases.needed():
                        continue
                    stack.runtime.discard(path.name)
                    releases.remove(path.name)
                else:
                    if path.parent.name == "records":  # its tree is gone; what the runtime made of it may be left
                        stack.runtime.discard(path.stem)
                    tree.discard(path)
            except AdafError as exc:
                stays.append(f"{path}: {exc.message}")
                continue
            except OSError as exc:
                stays.append(f"{path}: {exc.strerror or exc}")
                continue
            gone.append(item)
            run.progress(_line(item))
        if stays:
            raise AdafError(
                f"{stays[0]}" + (f", and {len(stays) - 1} more" if len(stays) > 1 else ""),
                "look at it, then `inv prune` again: it goes on where it was",
                detail=stays,
            )
        return {"removed": gone}

    return Step(kind, WHY[kind], remove, plan=tuple(map(_line, items)), say=_said)


def _line(item: Mapping[str, Json]) -> str:
    return f"{_size([item])!s:>9}  {item['path']}: {item['why']}"


def _said(output: Json) -> str:
    count = len(output["removed"])
    return f"{count} removed, {_size(output['removed'])} freed"


def _size(items: Iterable[Mapping[str, Json]]) -> Size:
    return sum((Size(item["bytes"], item["whole"]) for item in items), Size())


def _strange(names: list[str]) -> str:
    if not names:
        return ""
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"; not ours, left alone: {shown}"


def _result(run: Run) -> Mapping[str, Json]:
    removed = [item for output in run.outputs.values() for item in output["removed"]]
    return {
        "removed": removed,
        "freed": _size(removed).bytes,
        "free": shutil.disk_usage(Path(str(run.facts["state"]))).free,
        "strange": run.facts["strange"],
    }


def _report(document: Mapping[str, Json]) -> Iterable[str]:
    freed = (
        f"{len(document['removed'])} removed, {_size(document['removed'])} freed; {human(document['free'])} are free"
    )
    yield freed + _strange(document["strange"])
