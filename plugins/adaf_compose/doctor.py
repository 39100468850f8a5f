"""What the runtime needs of this host, and whether it is there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from adaf_pipeline.errors import AdafError
from adaf_pipeline.roles import Finding

if TYPE_CHECKING:
    from adaf_compose.backend import Compose

LOW = 2.0  # GB free where the engine keeps its images: a release is about 0.3, a build takes as much again


def doctor(runtime: Compose) -> Iterator[Finding]:
    """The engine, Compose, the images, the disk."""
    program = runtime.program
    try:
        _ = runtime.state  # only root has it; to anybody else the engine would seem dead
        with program.asking():
            version, info = program.looking.version(), program.looking.info()
        yield Finding(
            True, f"docker {version['Version']}, API {version['ApiVersion']}, cgroup v{info['CgroupVersion']}"
        )
        missing = [line for line in info.get("Warnings") or () if "limit support" in line]
        hint = "memory and processor limits are not kept: look at the kernel's cgroups"
        if missing:
            yield Finding(False, "; ".join(missing), hint)
        place = Path(info["DockerRootDir"])
        if place.exists():
            free = shutil.disk_usage(place).free / 1e9
            yield Finding(
                free > LOW, f"{free:.1f} GB free where the engine keeps images ({place})", "docker system prune"
            )
        yield Finding(True, f"{' '.join(program.argv)} {program.version}")
        yield from _images(runtime)
    except AdafError as exc:
        yield Finding(False, exc.message, exc.hint)


def _images(runtime: Compose) -> Iterator[Finding]:
    apps = (app.service("blue", 1, "") for app in runtime.stack.apps.values())
    for name in sorted({service.image for service in (*runtime.stack.services(), *apps)}):
        tag = runtime.images.tag(name)
        yield Finding(True, f"image {tag} {'is there' if runtime.images.there(tag) else 'will be built, or pulled'}")
