"""Known secrets in what is built: a release is read by more than a stack's accounts, and its bundle by everybody."""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from adaf_pipeline.errors import AdafError, ConfigError
from adaf_pipeline.roles import App, StackView

SHORTEST = 8  # characters: a shorter value is found everywhere
SHOWN = 5  # files


def known(stack: StackView) -> dict[str, str]:
    """The secrets that there are, by name; those that are too short to be looked for are left out."""
    found = {name: stack.secrets.value(name) for name in stack.secrets.names()}
    return {name: value for name, value in found.items() if len(value) >= SHORTEST}


def refuse_given(stack: StackView, app: App) -> None:
    """ConfigError when a secret is among what an application is built with: it would be a part of its bundle."""
    secrets = known(stack)
    for variable, value in sorted(app.toolchain().items()):
        for name, secret in sorted(secrets.items()):
            if secret in value:
                raise ConfigError(
                    f"apps/{app.name}: it is built with the secret {name} ({variable})",
                    "take it out of build_environment: a process reads secrets when it runs",
                )


def refuse_built(stack: StackView, app: App, output: Path) -> None:
    """AdafError when a file of an artefact holds a known secret, as it is or as a URL has it."""
    found = list(holders(output, known(stack)))
    if found:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        file, name = found[0]
        raise AdafError(
            f"{app.name}: {file} holds the secret {name}{more}",
            "sources and build_environment must not have it: a process reads secrets when it runs",
            detail=tuple(f"{file}: {name}" for file, name in found[:SHOWN]),
        )


def holders(folder: Path, secrets: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """File and name of each secret that is somewhere below. Links are what they lead to: read there, or outside."""
    wanted = [(name, spelled.encode()) for name, value in secrets.items() for spelled in {value, quote(value, safe="")}]
    for directory, _, names in os.walk(folder):
        for path in (Path(directory, name) for name in sorted(names)):
            if path.is_symlink() or not path.is_file() or not path.stat().st_size:
                continue
            with (
                path.open("rb") as file,
                contextlib.closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as body,
            ):
                for name in dict.fromkeys(name for name, spelled in wanted if body.find(spelled) >= 0):
                    yield path.relative_to(folder).as_posix(), name
