"""One production host: the same Services as hardened containers, under Docker Compose."""

from __future__ import annotations

from adaf_pipeline.hooks import Backend, impl


@impl
def adaf_backends() -> list[Backend]:
    return [
        Backend(
            "runtime", "compose", "adaf_compose.backend:Compose", "hardened containers on one host, by Docker Compose"
        )
    ]
