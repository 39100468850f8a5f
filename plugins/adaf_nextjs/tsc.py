"""The TypeScript compiler's words as Problems."""

from __future__ import annotations

import re
from collections.abc import Iterable

from adaf_nextjs.workbench import Workbench
from adaf_pipeline.errors import PreconditionError, ProcessError
from adaf_pipeline.process import TAIL
from adaf_pipeline.roles import Problem

TIMEOUT = 900.0  # s
_LINE = re.compile(r"(?P<file>[^\s(][^(]*(?:\([^(]*)*?)\((?P<line>\d+),\d+\): error (?P<code>TS\d+): (?P<message>.*)")
_WHOLE = re.compile(r"error (?P<code>TS\d+): (?P<message>.*)")

# As every Next.js writes it: without it, imported images and styles have no types.
_NEXT_ENV = b'/// <reference types="next" />\n/// <reference types="next/image-types/global" />\n'


def check(bench: Workbench, label: str, *, of_next: bool = True) -> tuple[Problem, ...]:
    """Run tsc over the work copy, after Next has generated the types of this very set of routes."""
    if not bench.has("tsconfig.json"):
        bench.place.progress("no tsconfig.json: there are no types to check")
        return ()
    if not bench.has("node_modules/.bin/tsc"):
        raise PreconditionError(f"{label}: typescript is not among its packages", "pnpm add --save-dev typescript")
    if of_next:
        _route_types(bench)
    bench.place.progress("checking types")
    try:
        bench.stream("node_modules/.bin/tsc", "--noEmit", "--pretty", "false", timeout=TIMEOUT)
    except ProcessError as exc:
        problems = parse(exc.detail)
        if problems:
            return problems
        raise ProcessError(exc.message, exc.hint, detail=exc.detail[-TAIL:]) from exc
    return ()


def _route_types(bench: Workbench) -> None:
    bench.quietly("rm", "-rf", "--", ".next/types")  # an earlier build's routes may be gone
    if bench.has("node_modules/next/dist/cli/next-typegen.js"):  # since 15.5
        bench.stream("node_modules/.bin/next", "typegen", timeout=TIMEOUT)
    elif not bench.has("next-env.d.ts"):
        bench.quietly("tee", "next-env.d.ts", stdin=_NEXT_ENV)


def parse(lines: Iterable[str]) -> tuple[Problem, ...]:
    """Errors only; the indented lines below one explain it and are left to the log."""
    found = []
    for line in lines:
        if match := _LINE.fullmatch(line):
            found.append(Problem(match["file"], int(match["line"]), match["code"], match["message"]))
        elif match := _WHOLE.fullmatch(line):
            found.append(Problem("tsconfig.json", 0, match["code"], match["message"]))
    return tuple(found)
