"""Sessions that mirror the tasks; `ci` is the gate. Run them inside `ci/env`, whose packages the tests need."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["ci"]
nox.options.error_on_external_run = False

HERE = Path(__file__).parent
LOCK = "ci/requirements.txt"
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
TESTS = [f"tests/{kind}" for kind in ("unit", "contract", "integration", "compose", "e2e", "bench", "fresh")]
CODE = ("src", "plugins", "tests", "ci/private_engine", "noxfile.py", "tasks.py")


def works(version: str) -> bool:
    """Whether that Python is really there: a version manager's stand-in only says that it is not."""
    program = shutil.which(f"python{version}")
    return program is not None and subprocess.run([program, "-c", ""], capture_output=True).returncode == 0


PYTHONS = [version for version in ("3.11", "3.12", "3.13") if version == RUNNING or works(version)]


def here(session: nox.Session, *argv: str) -> None:
    """Run with the interpreter of `ci/env`: its .venv has every locked package already."""
    session.run(sys.executable, "-m", *argv, external=True)


@nox.session(python=False)
def lint(session: nox.Session) -> None:
    """Style, the import contract, and that every test file can be read (a moved module shows here, not an hour later)."""
    here(session, "ruff", "check", *CODE)
    here(session, "ruff", "format", "--check", *CODE)
    session.run("lint-imports", external=True)
    here(session, "pytest", "--collect-only", "-qq", *TESTS)


@nox.session(python=False)
def typecheck(session: nox.Session) -> None:
    """mypy --strict over the pipeline, its plugins and this file."""
    here(session, "mypy", "src", "plugins", "ci/private_engine", "noxfile.py")


@nox.session(python=PYTHONS, venv_backend="venv", reuse_venv=True)
def unit(session: nox.Session) -> None:
    """Fast tests with fakes; sockets and subprocesses are blocked. On every Python that is installed."""
    if session.python == RUNNING:
        here(session, "pytest", "tests/unit", *session.posargs)
        return
    session.install("--require-hashes", "--no-deps", "-r", LOCK)
    session.install("--no-deps", "--no-build-isolation", "-e", ".")
    session.run("pytest", "tests/unit", *session.posargs)


@nox.session(python=False)
def contract(session: nox.Session) -> None:
    """One suite per role, against the fake and against the real backend."""
    here(session, "pytest", "tests/contract", *session.posargs)


@nox.session(python=False)
def integration(session: nox.Session) -> None:
    """Deploys, verdicts, failures: on real servers, with the tiny application."""
    here(session, "pytest", "tests/integration", *session.posargs)


@nox.session(python=False)
def compose(session: nox.Session) -> None:
    """The same on Docker Compose: on the machine's engine, or, as root, on one that ci/engine makes for it."""
    here(session, "pytest", "tests/compose", *session.posargs)


@nox.session(python=False)
def e2e(session: nox.Session) -> None:
    """The README in a fresh clone, with the Next.js dashboard."""
    here(session, "pytest", "tests/e2e", *session.posargs)


@nox.session(python=False, default=False)
def bench(session: nox.Session) -> None:
    """Everything that is reported as a figure. Takes a while; not part of the gate."""
    here(session, "pytest", "-s", "tests/bench", *session.posargs)


@nox.session(python=False, default=False)
def fresh(session: nox.Session) -> None:
    """The README's commands on bare Debians 12 and 13, as root and as a user with sudo. Needs root; not part of the gate."""
    words = [sys.executable, "-m", "fresh", *session.posargs]
    session.run(*words, env={"PYTHONPATH": "tests"}, external=True, interrupt_timeout=60)  # it has a root to delete


@nox.session(python=False, default=False)
def pictures(session: nox.Session) -> None:
    """Make the README's pictures anew: every script of tests/pictures. Needs Chromium and a live dashboard."""
    for script in sorted(Path("tests/pictures").glob("*.py")):
        session.run(sys.executable, str(script), external=True)


GATE = ["lint", "typecheck", *(f"unit-{v}" for v in PYTHONS), "contract", "integration", "compose", "e2e"]


@nox.session(python=False, requires=GATE)
def ci(session: nox.Session) -> None:
    """The gate: everything above, in this order."""
    session.log("all green" + (" (CI)" if os.environ.get("CI") else ""))
