"""Requirements: installed by pip, as the building account, into a folder of the release that PYTHONPATH names.

Not a virtual environment: that one knows its own place, and a release is moved when it is finished.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from adaf_pipeline.errors import AdafError, PreconditionError, ProcessError
from adaf_pipeline.process import TAIL, Account, run, stream
from adaf_pipeline.roles import Workplace
from adaf_python.copies import copied

FOLDER = ".packages"  # beside the application's files, none of which begins with a dot
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_INSTALLED = re.compile(r"Successfully installed (.*)")
_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeoutError|ReadTimeoutError|ProxyError|SSLError|Name or service not known"
    r"|Failed to establish a new connection|Temporary failure in name resolution"
)


@dataclass(frozen=True)
class Pip:
    """``python`` is what the application runs with; ``tools`` the folder that all stacks of this user share."""

    python: str
    tools: Path
    account: Account | None

    def version(self) -> str:
        """Of the interpreter, in full: packages are compiled for it."""
        said = run([self.python, "-I", "-c", "import sys; print(*sys.version_info[:3], sep='.')"], account=self.account)
        return said.stdout.strip()

    def install(self, place: Workplace, requirements: str, label: str, timeout: float) -> None:
        """Fill ``place.output``/FOLDER, compiled. PreconditionError or ProcessError in words that name the remedy."""
        home, cache, target = place.source / ".adaf-home", self.tools / "pip-cache", place.output / FOLDER
        run(["mkdir", "-p", "-m", "0700", "--", str(home)], account=self.account)
        cache.mkdir(parents=True, exist_ok=True)
        if self.account is not None and os.geteuid() == 0:  # its parent is ours: no link can be planted
            os.chown(cache, self.account.uid, self.account.gid, follow_symlinks=False)
        words = ["install", "--target", str(target), "--cache-dir", str(cache), "--no-compile", "--no-input"]
        words += ["--disable-pip-version-check", "--progress-bar", "off", "-r", requirements]
        place.progress(f"installing {requirements} (pip, {self.python})")
        last: deque[str] = deque(maxlen=200)

        def said(line: str) -> None:
            last.append(line)
            if match := _INSTALLED.fullmatch(line.strip()):
                place.progress(f"{len(match.group(1).split())} packages")

        environment = {**surroundings(), "HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin"}
        try:
            stream(
                [*self._program(), *words],
                place.log,
                line=said,
                account=self.account,
                env=environment,
                cwd=place.source,
                timeout=timeout,
            )
        except ProcessError as exc:
            raise failure(f"{label}: {requirements}", exc, list(last)) from exc
        # with hashes for stamps: the same at every place and time. What some package ships for another Python fails.
        compiled = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(place.output)]
        run([self.python, "-I", *compiled, str(target)], account=self.account, timeout=timeout, check=False)

    def _program(self) -> list[str]:
        """Our own pip, copied to where the account can read it; else the interpreter's."""
        try:
            return [self.python, "-I", str(copied("pip", self.tools) / "pip")]
        except metadata.PackageNotFoundError:
            if run([self.python, "-I", "-m", "pip", "--version"], account=self.account, check=False).code:
                raise PreconditionError(
                    "pip: not found, and the application has requirements", "apt-get install python3-pip"
                ) from None
            return [self.python, "-I", "-m", "pip"]


def surroundings() -> dict[str, str]:
    """How a package index is reached: what the caller's own environment says, without credentials."""
    wanted = {spelling for name in VARIABLES for spelling in (name, name.lower())}
    names = [name for name in sorted(os.environ) if name in wanted or name.startswith("PIP_")]
    return {name: os.environ[name] for name in names if "@" not in os.environ[name]}


def lines(path: Path) -> tuple[str, ...]:
    """What a requirements file asks for, comments apart: packages, options, links."""
    found = (line.partition("#")[0].strip() for line in path.read_text(errors="replace").splitlines())
    return tuple(line for line in found if line)


def names(asked: Iterable[str]) -> set[str]:
    """The packages among these lines, lower case."""
    return {match.group(1).lower() for line in asked if (match := _NAME.match(line))}


def failure(label: str, exc: ProcessError, said: list[str]) -> AdafError:
    """What pip said, in words that name the remedy."""
    what = "\n".join(said)
    ending = [line for line in said if line.strip()][-TAIL:]
    if "DO NOT MATCH THE HASHES" in what:
        return ProcessError(
            f"{label}: a package is not what its hash says",
            "the index serves something else: do not go on before you know why",
            detail=ending,
        )
    if "Hashes are required in --require-hashes mode" in what:
        return PreconditionError(
            f"{label}: hashes for some packages, not for all",
            "pip-compile --generate-hashes writes them for all",
            detail=ending,
        )
    if _NETWORK.search(what):
        return ProcessError(
            f"{label}: pip cannot reach the package index",
            "is there a way out? HTTPS_PROXY and PIP_* variables are passed on, unless they hold a password",
            detail=ending,
        )
    if match := re.search(r"No matching distribution found for (.+)", what):
        return PreconditionError(
            f"{label}: there is no {match.group(1).strip()} for this Python", "change that line", detail=ending
        )
    if match := re.search(r"Invalid requirement: (.+)", what):
        return PreconditionError(f"{label}: not a requirement: {match.group(1)[:120]}", "for example  flask==3.1.2")
    loud = next((line for line in said if line.startswith("ERROR: ")), ending[-1] if ending else exc.message)
    return ProcessError(f"{label}: pip: {loud.removeprefix('ERROR: ')}", exc.hint, detail=ending)
