"""The embedded default runtime: real servers as supervised processes on loopback."""

from __future__ import annotations

from adaf_pipeline.hooks import Backend, impl


@impl
def adaf_backends() -> list[Backend]:
    return [
        Backend("runtime", "local", "adaf_local.backend:Local", "processes under s6 on this machine, from packages")
    ]
