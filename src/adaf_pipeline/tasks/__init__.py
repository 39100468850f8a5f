"""The tasks: thin, one way in. ``namespace()`` is what ``tasks.py`` and the ``adaf`` program show."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.tasks import Task

from adaf_pipeline.tasks import data, deploying, inspecting, lifecycle
from adaf_pipeline.tasks.task import task

__all__ = ["namespace", "task"]


def namespace() -> Collection:
    """Our own tasks and those of plugins; a plugin cannot take a name that is taken."""
    found = Collection()
    for module in (lifecycle, deploying, data, inspecting):
        for made in vars(module).values():
            if isinstance(made, Task) and made.name not in found.tasks:
                found.add_task(made)
    _add_plugins(found)
    return found


def _add_plugins(found: Collection) -> None:
    from adaf_pipeline.plugins import discover

    registry = discover(_checkout())
    for implementation in registry.manager.hook.adaf_tasks.get_hookimpls():
        plugin = implementation.plugin_name
        try:
            for made in _made(implementation.function):
                name = str(made.name)
                if name in found.tasks or name in found.collections:
                    print(f"warning: plugin {plugin}: task {name} exists already and is left out", file=sys.stderr)
                elif isinstance(made, Collection):
                    found.add_collection(made)
                else:
                    found.add_task(made)
        except Exception as exc:  # noqa: BLE001  a broken plugin never breaks the listing
            print(f"warning: plugin {plugin}: adaf_tasks: {type(exc).__name__}: {exc}", file=sys.stderr)


def _checkout() -> Path | None:
    """Where config.find would look, without the time that importing it takes; None when there is no such place."""
    try:
        here = Path.cwd()
    except OSError:  # somebody removed it
        return None
    if os.environ.get("ADAF_CONFIG"):
        return (here / os.environ["ADAF_CONFIG"]).parent
    return next((folder for folder in (here, *here.parents) if os.path.lexists(folder / "adaf.yaml")), here)


def _made(function: Any) -> list[Any]:
    return list(function())
