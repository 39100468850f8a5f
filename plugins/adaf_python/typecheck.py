"""mypy's words as Problems."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sys
from importlib import metadata
from pathlib import Path

from adaf_pipeline.errors import PreconditionError, ProcessError
from adaf_pipeline.process import TAIL, Account, run
from adaf_pipeline.roles import Finding, Problem, Workplace
from adaf_python.copies import copied

LINE = re.compile(r"(?P<file>[^:]+):(?:(?P<line>\d+):)? error: (?P<message>.*?)(?:  \[(?P<code>[a-z0-9-]+)\])?")
HINT = "pip install mypy into the pipeline's environment, or set typecheck: false"
TIMEOUT = 600.0  # s


def check(place: Workplace, account: Account | None, tools: Path) -> tuple[Problem, ...]:
    """Run mypy over the copied sources with the configuration they bring along. ``tools``: where a copy of it may be."""
    if not finding().ok:
        raise PreconditionError("mypy: not installed", HINT)
    python, environment = sys.executable, None
    if account is not None:  # our own environment may lie in a home that it cannot enter
        with contextlib.suppress(metadata.PackageNotFoundError):
            environment = {"PYTHONPATH": str(copied("mypy", tools))}
            python = os.path.realpath(sys.executable)
    words = ["--no-error-summary", "--no-color-output", "--no-pretty", "--hide-error-context", "--hide-column-numbers"]
    words += ["--show-error-codes", "--cache-dir", os.devnull, "."]
    argv = [python, "-P", "-m", "mypy", *words]  # -P: no module of the application stands in for one of mypy's
    done = run(argv, account=account, env=environment, cwd=place.source, timeout=TIMEOUT, check=False)
    with open(place.log, "a") as log:
        log.write(done.stdout + done.stderr)
    problems = parse(done.stdout)
    if done.code and not problems:  # with problems it may be 2: a syntax error ends mypy early
        said = (done.stderr.strip() or done.stdout.strip() or "it printed nothing").splitlines()
        raise ProcessError(f"mypy exited {done.code}: {said[-1]}", f"all of it: {place.log}", detail=said[-TAIL:])
    return problems


def parse(output: str) -> tuple[Problem, ...]:
    """Errors only: a note belongs to the error above it."""
    found = [match for line in output.splitlines() if (match := LINE.fullmatch(line))]
    return tuple(Problem(m["file"], int(m["line"] or 0), m["code"] or "", m["message"]) for m in found)


def finding() -> Finding:
    """Whether mypy can be imported by the interpreter that runs us."""
    found = importlib.util.find_spec("mypy") is not None
    return Finding(found, "mypy is installed" if found else "mypy is not installed", "" if found else HINT)
