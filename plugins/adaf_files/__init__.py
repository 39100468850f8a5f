"""Secrets as files: generated, versioned, 0400, each behind one path that stays."""

from __future__ import annotations

from adaf_pipeline.hooks import Backend, impl


@impl
def adaf_backends() -> list[Backend]:
    return [Backend("secrets", "files", "adaf_files.backend:Files", "0400 files below the stack's state directory")]
