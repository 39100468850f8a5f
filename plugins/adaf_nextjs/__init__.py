"""Applications that node runs, managed with pnpm: Next.js, and plain servers."""

from __future__ import annotations

from adaf_pipeline.hooks import Backend, impl


@impl
def adaf_backends() -> list[Backend]:
    """The app backends ``nextjs`` and ``node``."""
    return [
        Backend("app", "nextjs", "adaf_nextjs.backend:NextJS", "Next.js on pnpm, as its standalone server"),
        Backend("app", "node", "adaf_nextjs.node:NodeServer", "a Node server, with or without packages (pnpm)"),
    ]
