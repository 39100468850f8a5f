"""The two long commands, `pnpm install` and `next build`, with the few of their lines that a person wants to see."""

from __future__ import annotations

import re

from adaf_nextjs import failures, network, standalone
from adaf_nextjs.project import Project
from adaf_nextjs.settings import Settings
from adaf_nextjs.workbench import Workbench
from adaf_pipeline.errors import ProcessError

INSTALL_TIMEOUT = 900.0  # s
_INSTALL = re.compile(r"(Packages: .*|Already up to date)")
_BUILD = re.compile(
    r"\s*(?:[○✓]\s+)?(Creating an optimized .*|Compiled .*|Linting .*|Checking validity .*|Running TypeScript.*"
    r"|Collecting page data.*|Generating static pages(?: using.*)? \((\d+)/\2\).*|Collecting build traces.*)"
    r"|\s*(⚠ (?!No build cache).*)"
)


def install(bench: Workbench, project: Project, version: str, *more: str) -> None:
    """Bring node_modules in step with the lock; a second when it is already."""
    bench.place.progress(f"installing packages (pnpm {version}, node {bench.node.version})")
    words = ["install", "--frozen-lockfile", "--prefer-offline", "--store-dir", str(bench.store), *more]

    def said(line: str) -> None:
        if match := _INSTALL.fullmatch(line.strip()):
            bench.place.progress(match.group(1))

    try:
        bench.stream(str(bench.pnpm), *words, timeout=INSTALL_TIMEOUT, said=said, more=network.environment())
    except ProcessError as exc:
        raise failures.install(project, version, exc) from exc


def script(bench: Workbench, project: Project, name: str, timeout: float) -> None:
    """One of the project's own scripts."""
    bench.place.progress(f"pnpm run {name}")
    try:
        bench.stream(str(bench.pnpm), "run", name, timeout=timeout)
    except ProcessError as exc:
        raise failures.script(project, name, exc) from exc


def build(bench: Workbench, project: Project, settings: Settings) -> None:
    """The project's own build script, or `next build`; then assemble what is shipped."""
    standalone.clear(bench)
    words = ["run", "build"] if "build" in project.scripts() else ["exec", "next", "build"]

    def said(line: str) -> None:
        if match := _BUILD.fullmatch(line):
            bench.place.progress(match.group(1) or match.group(3))

    try:
        bench.stream(str(bench.pnpm), *words, timeout=settings.build_timeout, said=said)
    except ProcessError as exc:
        raise failures.build(project, exc) from exc
    bench.place.progress("assembling the release")
    standalone.assemble(bench, settings, project.label, project.within)
