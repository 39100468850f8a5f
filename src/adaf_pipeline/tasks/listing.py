"""Releases as people read them, in 80 columns: all of them, or the story of one."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterable, Mapping

from adaf_pipeline.event import Json
from adaf_pipeline.tasks.drawing import clock

COLUMNS = 79
LABEL = 13
BRIEF = 0.1  # seconds: shorter steps are only counted


def lines(document: Mapping[str, Json]) -> Iterable[str]:
    """A table, newest last, or the story of one release."""
    if "story" in document:
        yield from _story(document)
        return
    if not document["releases"]:
        yield "no release yet"
        yield "next: inv deploy --canary"
        return
    yield f"{'release':14}{'where':12}{'built':18}last deploy"
    for row in document["releases"]:
        last = row["last"]
        how = f"{last['outcome']} {_when(last['at'])}" if last else "never deployed"
        if row["place"] == "canary":
            how = "has visitors on trial: inv status"
        where = f"{row['place']} {row['colour']}".strip() or "-"
        yield f"{row['release']:14}{where:12}{_when(row['built']):18}{how}"
    yield "next: inv releases --show ID | inv rollback [--to ID]"


def _story(document: Mapping[str, Json]) -> Iterable[str]:
    record, release = document["record"], document["release"]
    where = f"{document['place']}, as {document['colour']}" if document["place"] else "not running"
    yield f"release {release} of {record.get('app', '?')}: {where}"
    tools = ", ".join(f"{name} {version}" for name, version in record.get("toolchain", {}).items())
    built = f"{_when(record.get('built', 0))} in {record.get('seconds', 0):g} s"
    yield from _labelled("built", built + (f" with {tools}" if tools else ""))
    commit = str(record.get("commit", ""))
    if commit.endswith("-dirty"):
        commit = f"{commit.removesuffix('-dirty')} with changes"
    origin = [record.get("checkout", ""), f"commit {commit}" if commit else "no commit known"]
    yield from _labelled("from", ", ".join(part for part in [*origin, _by(record).strip()] if part))
    yield from _labelled("inputs", str(record.get("inputs", "?")))
    yield from _labelled("artefact", str(record.get("artefact", "?")))
    for entry in document["story"]:
        yield ""
        yield from _entry(entry, release)
    if not document["story"]:
        yield "it was never deployed"
    yield f"next: {' | '.join(document['next'])}"


def _entry(entry: Mapping[str, Json], release: str) -> Iterable[str]:
    """One deploy or rollback; of one that replaced this release only what became of it."""
    took = f" in {clock(entry['seconds'])}" if "seconds" in entry else ""
    what = f"{_when(entry['at'])}  {entry['task']}{_by(entry)}{took}"
    if entry["release"] != release:
        said = "went live instead" if entry["outcome"] == "live" else "did not hold"
        yield f"{what}: {entry['release']} {said}"
        return
    replaced = f" (before: {entry['replaced']})" if entry.get("replaced") else ""
    yield f"{what}: {entry['outcome']}{replaced}"
    yield from _labelled("run", str(entry["run"]))
    if entry.get("steps"):
        long = [_step(step) for step in entry["steps"] if step["seconds"] >= BRIEF or not step["ok"]]
        yield from _labelled("steps", f"{len(entry['steps'])}: {', '.join(long)}".removesuffix(": "))
    if entry.get("level"):
        yield from _labelled("schema", entry["level"])
    yield from _verdicts(entry)
    if entry.get("receipt"):
        yield from _labelled("probes", _receipt(entry["receipt"]))
    failure = entry.get("failure")
    if failure:
        yield from _labelled("failed", f"{failure['step']}: {failure['error']}")
    if entry.get("undone"):
        yield from _labelled("taken back", ", ".join(entry["undone"]))
    for undo in entry.get("undo_failed", ()):
        yield from _labelled("NOT undone", f"{undo['id']}: {undo['error']}")
    if failure and failure["hint"]:
        yield from _labelled("hint", failure["hint"])


def _verdicts(entry: Mapping[str, Json]) -> Iterable[str]:
    """A row a judged step, and in full what did not simply pass."""
    verdicts = entry.get("verdict") or []
    colour = entry.get("colour", "")
    counted = [verdict for verdict in verdicts if "served" in verdict and colour]
    if counted:
        yield f"  {'step':12}{'share':>7}{'requests':>10}{'failed':>8}{'stable':>12}{'failed':>8}   verdict"
    for verdict in counted:
        ours = verdict["served"].get(colour, {})
        theirs: Mapping[str, int] = next((counts for name, counts in verdict["served"].items() if name != colour), {})
        yield (
            f"  {verdict['step']:12}{verdict['share'].get(colour, 0):>5g} %{ours.get('requests', 0):>10,}"
            f"{ours.get('failed', 0):>8,}{theirs.get('requests', 0):>12,}{theirs.get('failed', 0):>8,}"
            f"   {verdict['outcome']}"
        )
    for verdict in verdicts:
        told = verdict["outcome"] == "pass" or (entry.get("failure") or {}).get("step") == verdict["step"]
        if verdict not in counted or not told:
            yield from _labelled(verdict["step"], f"{verdict['outcome']}: {verdict['reason']}")


def _step(step: Mapping[str, Json]) -> str:
    return (
        f"{step['id']} {step['seconds']:.1f} s" if step["ok"] else f"{step['id']} FAILED after {step['seconds']:.1f} s"
    )


def _receipt(receipt: Mapping[str, Json]) -> str:
    late = "late: not judged" if receipt.get("late") is None else f"{receipt['late']:,} late"
    words = [f"{receipt.get(name, 0):,} {name}" for name in ("sent", "lost", "duplicated", "errors")]
    slow = f", p99 {receipt['p99']:g} ms" if receipt.get("p99") is not None else ""
    return f"{', '.join(words)}, {late}{slow}"


def _by(entry: Mapping[str, Json]) -> str:
    return f" by {entry['who']}" if entry.get("who") else ""


def _labelled(label: str, said: str) -> Iterable[str]:
    folded = textwrap.wrap(said, COLUMNS - LABEL, break_long_words=False, break_on_hyphens=False) or [""]
    for number, line in enumerate(folded):
        yield f"  {label if not number else '':<{LABEL - 2}}{line}"


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at)) if at else "?"
