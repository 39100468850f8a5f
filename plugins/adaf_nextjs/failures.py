"""What pnpm and Next say when they fail, in words that name the remedy."""

from __future__ import annotations

import re
from collections.abc import Sequence

from adaf_nextjs.project import LOCK, Project
from adaf_pipeline.errors import AdafError, PreconditionError, ProcessError
from adaf_pipeline.process import TAIL

_NOISE = re.compile(r"\s*(?:ELIFECYCLE|> |Progress: |at |[|/\\+-]*$|Next\.js build worker exited)|\s*$")
_CODE = re.compile(r"\b(ERR_PNPM_[A-Z_]+)\b")
_NETWORK = re.compile(
    r"ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ERR_SOCKET_TIMEOUT|UNABLE_TO_GET_ISSUER_CERT|SELF_SIGNED_CERT"
    r"|ERR_PNPM_META_FETCH_FAIL|ERR_PNPM_FETCH_\d+|ERR_PNPM_NO_OFFLINE_TARBALL"
)
_MEMORY = re.compile(r"JavaScript heap out of memory|exited with code: null and signal: SIGKILL|ENOMEM")
_TYPE_ERROR = re.compile(r"Type error: (.*)")
_PRERENDER = re.compile(r'Error occurred prerendering page "([^"]+)"')


def install(project: Project, version: str, exc: ProcessError) -> AdafError:
    """Why `pnpm install` failed."""
    lines, what = exc.detail, "\n".join(exc.detail)
    found = _CODE.search(what)
    code = found.group(1) if found else ""
    renew = project.pnpm("install --no-frozen-lockfile")
    if code in ("ERR_PNPM_OUTDATED_LOCKFILE", "ERR_PNPM_LOCKFILE_CONFIG_MISMATCH"):
        why = [line.strip() for line in lines if re.match(r"\s+- |\s*ERR_PNPM_LOCKFILE_CONFIG", line)]
        return PreconditionError(
            f"{project.label}: {LOCK} is not up to date with package.json", f"{renew}, and commit {LOCK}", detail=why
        )
    if code in ("ERR_PNPM_BROKEN_LOCKFILE", "ERR_PNPM_LOCKFILE_BREAKING_CHANGE"):
        return PreconditionError(
            f"{project.label}: pnpm {version} cannot read {LOCK}",
            f"take the committed one (git checkout -- {project.typed(LOCK)}), or make it anew: {renew}",
            detail=_ending(lines),
        )
    if code == "ERR_PNPM_TARBALL_INTEGRITY":
        return ProcessError(
            f"{project.label}: a package is not what {LOCK} says it is",
            "the registry serves something else: do not go on before you know why",
            detail=_ending(lines),
        )
    return _common(project, "pnpm install", exc) or ProcessError(
        f"{project.label}: {exc.message}: {_first(lines)}", exc.hint, detail=_ending(lines)
    )


def build(project: Project, exc: ProcessError) -> AdafError:
    """Why `next build` failed."""
    lines = list(exc.detail)
    known = _common(project, "next build", exc)
    if known:
        return known
    for index, line in enumerate(lines):
        if match := _TYPE_ERROR.match(line):
            where = next((before for before in reversed(lines[:index]) if before.strip()), "").removeprefix("./")
            return ProcessError(
                f"{project.label}: next build: type error in {where}: {match.group(1)}",
                "mend it; `inv typecheck` lists all of them",
                detail=_meaningful(lines[index + 1 :])[:TAIL],
            )
        if match := _PRERENDER.search(line):
            return ProcessError(
                f"{project.label}: next build: page {match.group(1)} fails when it is rendered at build time",
                'mend it, or render it at run time:  export const dynamic = "force-dynamic"',
                detail=_meaningful(lines[index:])[:TAIL],
            )
    if "Failed to compile." in (stripped := [line.strip() for line in lines]):
        said = _meaningful(lines[stripped.index("Failed to compile.") + 1 :])
        return ProcessError(
            f"{project.label}: next build failed to compile: {' '.join(line.strip() for line in said[:2])}",
            exc.hint,
            detail=said[:TAIL],
        )
    return ProcessError(f"{project.label}: {exc.message}: {_first(lines)}", exc.hint, detail=_ending(lines))


def script(project: Project, name: str, exc: ProcessError) -> AdafError:
    """Why a script of package.json failed."""
    command = f"pnpm run {name}"
    return _common(project, command, exc) or ProcessError(
        f"{project.label}: {command}: {_first(exc.detail)}", exc.hint, detail=_ending(exc.detail)
    )


def _common(project: Project, command: str, exc: ProcessError) -> AdafError | None:
    what = "\n".join(exc.detail)
    if "ENOSPC" in what:
        return PreconditionError(
            f"{project.label}: {command}: the disk is full", "make room: df -h", detail=_ending(exc.detail)
        )
    if _MEMORY.search(what):
        return PreconditionError(
            f"{project.label}: {command} ran out of memory",
            "give the host more, or the build: build_environment: {NODE_OPTIONS: --max-old-space-size=4096}",
            detail=_ending(exc.detail),
        )
    if _NETWORK.search(what):
        return ProcessError(
            f"{project.label}: {command} cannot reach what it needs over the network: {_first(exc.detail)}",
            "is there a way out? HTTPS_PROXY, npm_config_registry and the registry lines of ~/.npmrc are passed on",
            detail=_ending(exc.detail),
        )
    return None


def _first(lines: Sequence[str]) -> str:
    """The line that says most: the first that calls itself an error, else the last."""
    found = _meaningful(lines)
    loud = (line for line in found if re.match(r"\s*(?:⨯|ERR_|E[A-Z]{4,}|Error|\w*Error:)", line))
    return " ".join(next(loud, found[-1] if found else "it printed nothing").split())


def _ending(lines: Sequence[str]) -> list[str]:
    return _meaningful(lines)[-TAIL:]


def _meaningful(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if not _NOISE.match(line)]
