"""What a stack takes of its disk, and whether there is enough left: looked at in a short, fixed time."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from adaf_pipeline.event import Json
from adaf_pipeline.reserve import mount_point
from adaf_pipeline.roles import StackView
from adaf_pipeline.workflows.sizes import GB, Size, human, measure
from adaf_pipeline.workflows.spare import backends_keep

BUDGET = 0.3  # seconds for all of it: what is not counted by then is "at least"
LOW_SHARE, LOW_BYTES = 0.1, GB  # less than one of these is free: time to prune
SHOWN = 2**20  # bytes: what takes less is in the document, but on nobody's screen
CORE = {"journals": "runs", "releases": "releases", "builds": "builds"}


def disk(stack: StackView) -> dict[str, Json]:
    """Pure read. Sizes in bytes; ``data`` by service, ``sizes`` of everything else by kind."""
    groups: dict[tuple[str, str], list[Path]] = {("sizes", kind): [stack.state / name] for kind, name in CORE.items()}
    for one in backends_keep(stack):
        if one.kind == "logs":
            groups.setdefault(("sizes", "logs"), []).append(one.path)
        elif one.kind == "data":
            groups.setdefault(("data", one.name), []).append(one.path)
    usage = shutil.disk_usage(stack.state)  # free for the stack's account: less than for root
    found: dict[str, Json] = {
        "file_system": mount_point(stack.state),
        "total": usage.total,
        "free": usage.free,
        "low": usage.free < LOW_BYTES or usage.free < LOW_SHARE * usage.total,
        "sizes": {},
        "data": {},
    }
    end = time.monotonic() + BUDGET
    waiting = len(groups)
    for (group, name), paths in groups.items():
        now = time.monotonic()
        size = measure(paths, now + max(0.0, end - now) / waiting)  # what is quick leaves its time to the rest
        waiting -= 1
        found[group][name] = {"bytes": size.bytes, "whole": size.whole}
    return found


def disk_lines(found: Mapping[str, Json]) -> list[str]:
    """One line about it, for people; another one first when it is time to do something."""
    sizes = {name: Size(**size) for group in ("data", "sizes") for name, size in found[group].items()}
    shown = [f"{name} {size}" for name, size in sizes.items() if size.bytes >= SHOWN or not size.whole]
    line = "; ".join([f"disk: {human(found['free'])} of {human(found['total'])} free", ", ".join(shown)]).rstrip("; ")
    low = f"the disk is nearly full ({found['file_system']}): inv prune frees what nothing needs"
    return [low, line] if found["low"] else [line]
