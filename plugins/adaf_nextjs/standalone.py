"""From what `next build` leaves to what is shipped: the standalone server, with the files it expects beside it."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from adaf_nextjs.project import CONFIGS, no_standalone
from adaf_nextjs.settings import SERVER, Settings
from adaf_nextjs.workbench import Workbench
from adaf_pipeline.errors import ConfigError, PreconditionError

MADE = PurePosixPath(".next/standalone")


def assemble(bench: Workbench, settings: Settings, label: str, within: str = "") -> None:
    """Fill ``place.output``, as the account; links stay links (pnpm's node_modules are made of them).

    ``within``: the application's place in its workspace, which it keeps in the release; packages are beside it.
    """
    out = bench.place.output
    server = _workspace_server(bench, label, within) if within else _server(bench, label)
    bench.quietly("cp", "-a", "--", f"{server}/.", f"{out}/")
    out = out / within
    bench.quietly("mkdir", "-p", "--", f"{out}/.next")
    bench.quietly("cp", "-a", "--", ".next/static", f"{out}/.next/")
    if bench.has("public"):
        bench.quietly("cp", "-a", "--", "public", f"{out}/")
    extra = [name.rstrip("/") for name in settings.shipped()]
    if bench.has(settings.migrations):
        extra.append(settings.migrations)
    for name in extra:
        if not bench.has(name):
            raise PreconditionError(
                f"{label}: {name} was there before the build and is gone now", "look at its scripts"
            )
    if extra:
        bench.quietly("cp", "-a", "--parents", "--", *dict.fromkeys(extra), f"{out}/")


def clear(bench: Workbench) -> None:
    """Nothing of an earlier build may be mistaken for this one's; caches stay."""
    bench.quietly("rm", "-rf", "--", str(MADE), ".next/static", ".next/BUILD_ID")


def _server(bench: Workbench, label: str) -> PurePosixPath:
    """The folder of server.js: deeper than usual when outputFileTracingRoot lies above the application."""
    root = bench.place.source / MADE
    if not root.is_dir():
        config = next((name for name in CONFIGS if bench.has(name)), CONFIGS[1])
        raise no_standalone(label, f"next build made no {MADE}", config)
    folder = root
    while not (folder / SERVER).is_file():
        below = sorted(folder.iterdir())
        if len(below) != 1 or not below[0].is_dir() or below[0].is_symlink() or below[0].name == "node_modules":
            raise ConfigError(
                f"{label}: {MADE} holds {_names(below)} beside the application",
                "set  outputFileTracingRoot  in next.config to the application's own folder",
            )
        folder = below[0]
    return MADE / PurePosixPath(os.path.relpath(folder, root))


def _workspace_server(bench: Workbench, label: str, within: str) -> PurePosixPath:
    """The whole of what Next made, in which server.js has the application's place."""
    root = bench.place.source / MADE
    if not root.is_dir():
        config = next((name for name in CONFIGS if bench.has(name)), CONFIGS[1])
        raise no_standalone(label, f"next build made no {MADE}", config)
    if not (root / within / SERVER).is_file():
        up = "/".join([".."] * len(PurePosixPath(within).parts))
        raise ConfigError(
            f"{label}: {MADE} holds no {within}/{SERVER}, but {_names(sorted(root.iterdir()))}",
            f'set  outputFileTracingRoot: path.join(import.meta.dirname, "{up}")  in next.config: the workspace',
        )
    return MADE


def _names(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths[:5]) or "nothing"
