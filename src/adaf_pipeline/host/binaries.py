"""Finds the programs that services name, where Debian 12, Debian 13 and others put them, and checks their versions."""

from __future__ import annotations

import os
import re
from pathlib import Path

from adaf_pipeline.errors import AdafError, PreconditionError
from adaf_pipeline.process import Account, run
from adaf_pipeline.service import Binary

USUAL = ("/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin", "/bin", "/sbin")
PATIENCE = 10.0  # seconds that a program may take to say its version


class Binaries:
    """``find`` answers once per program and process; a version costs one start of the program."""

    def __init__(self, account: Account | None, extra: tuple[Path, ...] = ()) -> None:
        self.account = account
        self.extra = extra
        self._found: dict[str, tuple[str, str]] = {}

    def find(self, binary: Binary) -> str:
        """The path of a supported version. PreconditionError names what is missing, too old or too new."""
        if binary.name not in self._found:
            self._found[binary.name] = self._search(binary)
        return self._found[binary.name][0]

    def version(self, binary: Binary) -> str:
        """The version that ``find`` settled on."""
        self.find(binary)
        return self._found[binary.name][1]

    def _search(self, binary: Binary) -> tuple[str, str]:
        refused = []
        for path in self._candidates(binary):
            if not accessible(path, self.account):
                refused.append(f"{path} cannot be run by {self.account.name if self.account else 'this user'}")
                continue
            version, trouble = self._version(path, binary)
            if _inside(version, binary.supported):
                return str(path), version
            low, high = binary.supported
            refused.append(f"{path} {trouble or f'is {version}'}, supported: {low} up to, but not, {high}")
        if refused:
            raise PreconditionError(f"{binary.name}: {'; '.join(refused)}", f"install another {binary.package}")
        raise PreconditionError(f"{binary.name}: not found", f"apt-get install {binary.package}, or run ./ci/env true")

    def _candidates(self, binary: Binary) -> list[Path]:
        """Own directories first, newest version first, then the tools of ci/env, the system, and PATH last."""
        folders = [f for pattern in binary.search for f in _matches(pattern)]
        folders += [str(path) for path in self.extra] + list(USUAL)
        folders += [f for f in os.environ.get("PATH", "").split(os.pathsep) if f.startswith("/")]
        found: dict[Path, Path] = {}  # by what it is: /bin is /usr/bin
        for path in (Path(folder) / binary.name for folder in folders):
            if os.access(path, os.X_OK) and path.is_file():
                found.setdefault(path.resolve(), path)
        return list(found.values())

    def _version(self, path: Path, binary: Binary) -> tuple[str, str]:
        """What the program says its version is, or what is wrong with it. It runs as the account that will use it."""
        try:
            done = run([str(path), binary.version], account=self.account, timeout=PATIENCE, check=False)
        except AdafError as exc:
            return "", f"does not run: {exc.message}"
        said = (done.stdout + done.stderr).strip()
        if done.code != 0:  # a missing library has a number in its name, too
            return "", f"exits {done.code}: {said.splitlines()[-1] if said else 'it printed nothing'}"
        found = re.search(r"(\d+(?:\.\d+)*)", said)
        return (found.group(1), "") if found else ("", "is of unknown version")


def _matches(pattern: str) -> list[str]:
    """Directories of an absolute glob pattern, highest number first."""
    found = [str(path) for path in Path("/").glob(pattern.lstrip("/"))]
    return sorted(found, key=_numbers, reverse=True)


def accessible(path: Path, account: Account | None) -> bool:
    """Whether the account may reach and run it: root may read below a 0700 home, the account may not."""
    if account is None:
        return True
    real = path.resolve()
    for place, bits in [(real, 0o5), *((folder, 0o1) for folder in {*path.parents, *real.parents})]:
        status = place.stat()
        shift = 6 if status.st_uid == account.uid else 3 if status.st_gid == account.gid else 0
        if (status.st_mode >> shift) & bits != bits:
            return False
    return True


def _inside(version: str, supported: tuple[str, str]) -> bool:
    return bool(version) and _numbers(supported[0]) <= _numbers(version) < _numbers(supported[1])


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
