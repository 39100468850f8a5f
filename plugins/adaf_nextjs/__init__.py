"""Next.js applications that are managed with pnpm."""

from __future__ import annotations

from adaf_pipeline.hooks import Backend, impl


@impl
def adaf_backends() -> list[Backend]:
    """The app backend ``nextjs``."""
    return [Backend("app", "nextjs", "adaf_nextjs.backend:NextJS", "Next.js on pnpm, as its standalone server")]
