"""The balancer `haproxy`: blue and green behind one socket, moved by its runtime API without a reload."""

from __future__ import annotations

from collections.abc import Iterable

from adaf_pipeline.hooks import Backend, impl


@impl
def adaf_backends() -> Iterable[Backend]:
    return [
        Backend(
            "balancer", "haproxy", "adaf_haproxy.backend:HAProxy", "blue and green by HAProxy's runtime API, no reload"
        )
    ]
