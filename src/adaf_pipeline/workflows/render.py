"""Render: what the runtime would be told, written where somebody wants to read it."""

from __future__ import annotations

import json
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.event import Json
from adaf_pipeline.roles import StackView
from adaf_pipeline.service import Services
from adaf_pipeline.workflows import processes
from adaf_pipeline.workflows.releases import Releases, live_colour

_ANOTHER = "--out DIR: a new one, or one that was rendered before"
RECORD = ".adaf-rendered.json"  # what we wrote into a folder, and may write again


def services(stack: StackView) -> Services:
    """All that would run now: the infrastructure, every colour that holds a release, the workers of the live one."""
    found = list(stack.services())
    releases = Releases(stack.state)
    colours, live = releases.colours(), live_colour(stack)
    for app in stack.apps.values():
        for colour, content in sorted(colours.items()):
            found += processes.web(app, colour, str(content["release"]))
        found += processes.workers(app, colours.get(live, {}))
    return tuple(found)


def render(stack: StackView, folder: Path) -> dict[str, Json]:
    """Write it into ``folder``, which is new, empty, or what was rendered before. PreconditionError for another one.

    Files of an earlier time that are no longer wanted go.
    """
    wanted = services(stack)
    try:
        before = _before(folder)
        names = stack.runtime.render(wanted, folder)
        for name in sorted(before - set(names)):
            (folder / name).unlink(missing_ok=True)
        (folder / RECORD).write_text(json.dumps({"stack": stack.name, "files": sorted(names)}) + "\n")
    except OSError as exc:
        raise PreconditionError(f"--out: {folder}: cannot be written: {exc.strerror}", _ANOTHER) from exc
    releases = {name: str(content["release"]) for name, content in Releases(stack.state).colours().items()}
    return {"ok": True, "folder": str(folder), "files": list(names), "releases": releases}


def text(stack: StackView) -> str:
    """The first of its files alone."""
    with TemporaryDirectory() as place:
        names = stack.runtime.render(services(stack), Path(place))
        return (Path(place) / names[0]).read_text()


def _before(folder: Path) -> set[str]:
    if not folder.exists():
        return set()
    if not folder.is_dir():
        raise PreconditionError(f"--out: {folder} is no folder", _ANOTHER)
    try:
        names = json.loads((folder / RECORD).read_text())["files"]
        return {name for name in names if not {"..", "/"} & set(PurePath(name).parts)}  # nothing outside it is ours
    except (OSError, ValueError, KeyError, TypeError):
        if not any(folder.iterdir()):
            return set()
    raise PreconditionError(f"--out: {folder} has files that were not rendered", _ANOTHER)
