"""Redis from the distribution's packages."""

from __future__ import annotations

from adaf_pipeline.hooks import Backend, impl


@impl
def adaf_backends() -> list[Backend]:
    return [Backend("cache", "redis", "adaf_redis.backend:Redis", "one Redis 7-8 primary")]
