"""Releases as people read them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from adaf_pipeline.event import Json


def releases(document: Mapping[str, Json]) -> Iterable[str]:
    """A table, or the story of one release."""
    if "story" in document:
        yield from _story(document)
        return
    if not document["releases"]:
        yield "no release yet"
        yield "next: inv deploy --canary"
        return
    yield f"{'release':14} {'place':6} {'colour':7} {'built':20} last deploy"
    for row in document["releases"]:
        last = row["last"]
        how = f"{last['outcome']} at {_when(last['at'])} (run {last['run']})" if last else "never deployed"
        yield f"{row['release']:14} {row['place']:6} {row['colour']:7} {_when(row['built']):20} {how}"
    yield "next: inv releases --show ID | inv rollback [--to ID]"


def _story(document: Mapping[str, Json]) -> Iterable[str]:
    record = document["record"]
    yield f"release {document['release']} of {record.get('app', '?')}, built {_when(record.get('built', 0))}"
    yield f"  inputs   {record.get('inputs', '?')}"
    yield f"  artefact {record.get('artefact', '?')}"
    tools = ", ".join(f"{name} {version}" for name, version in record.get("toolchain", {}).items())
    yield f"  built in {record.get('seconds', 0):g} s with {tools}"
    for entry in document["story"]:
        role = "went" if entry["release"] == document["release"] else "was replaced:"
        yield f"{_when(entry['at'])} {entry['task']} {entry['run']}: {role} {entry['outcome']}"
        if entry.get("level"):
            yield f"  schema level {entry['level']}"
        for verdict in entry.get("verdict") or []:
            yield f"  {verdict['step']}: {verdict['outcome']}: {verdict['reason']}"
        receipt = entry.get("receipt")
        if receipt:
            yield f"  probes: {receipt['sent']} sent, {receipt['lost']} lost, {receipt['duplicated']} duplicated"


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) if at else "?"
