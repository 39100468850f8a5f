"""PostgreSQL from the distribution's packages."""

from __future__ import annotations

from adaf_pipeline.hooks import Backend, impl


@impl
def adaf_backends() -> list[Backend]:
    return [Backend("database", "postgres", "adaf_postgres.backend:Postgres", "one PostgreSQL 15-17 primary")]
