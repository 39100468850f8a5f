"""The proxy `nginx`: the edge that visitors connect to."""

from __future__ import annotations

from collections.abc import Iterable

from adaf_pipeline.hooks import Backend, impl


@impl
def adaf_backends() -> Iterable[Backend]:
    return [
        Backend(
            "proxy", "nginx", "adaf_nginx.backend:Nginx", "the edge: request ids, access log, one way to the balancer"
        )
    ]
