"""What lies below a stack's directory and is needed no more: found by pure reads, for `prune` to show and to remove.

Only names that the pipeline itself gives are ever spare; whatever else lies there is somebody's, and is only named.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from adaf_pipeline import journal, lock
from adaf_pipeline.roles import Kept, StackView
from adaf_pipeline.workflows.releases import Releases
from adaf_pipeline.workflows.tree import GONE

Kind = Literal["releases", "builds", "journals", "logs", "leftovers"]

OURS = {"releases", "records", "inputs", "builds", "runs", "lock", "reserve", "colours.json", "history.jsonl"}
BENCH = {"inputs", "work", "output", "build.log"}  # what a build has in its folder
DAY = 86400.0
_RELEASE = re.compile(r"[0-9a-f]{12}")
_INPUTS = re.compile(r"[0-9a-f]{64}")
_RUN = re.compile(r"\d{8}T\d{6}Z-[a-z][a-z0-9-]*-[0-9a-f]{4}")
_APP = re.compile(r"[a-z][a-z0-9-]{0,20}")
_TORN = re.compile(r"\..+\.[0-9]+")  # an atomic write that never got its name


@dataclass(frozen=True, slots=True)
class Spare:
    """``path`` may go, because of ``why``."""

    kind: Kind
    path: Path
    why: str


class Search:
    """One look at a stack's directory. ``strange``: what the pipeline did not make (relative paths)."""

    def __init__(self, stack: StackView) -> None:
        self.stack = stack
        self.state = stack.state
        self.releases = Releases(stack.state)
        self.owner = lock.owner(stack.state)
        self.strange: list[str] = []

    def all(self) -> list[Spare]:
        """Everything that may go, in the order in which it goes."""
        kept = list(backends_keep(self.stack))
        found = [*self._old_releases(), *self._orphans(), *self._builds(), *self._journals()]
        found += [
            Spare("logs" if one.kind == "logs" else "leftovers", one.path, one.spare)
            for one in kept
            if one.spare and one.kind != "data"
        ]
        known = OURS | {one.path.relative_to(self.state).parts[0] for one in kept}
        for path in self._entries(""):
            if _TORN.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                found.append(Spare("leftovers", path, "a write that was broken off"))
            elif path.name not in known:
                self._is_strange(path)
        return found

    # ------------------------------------------------------------------------------------------- releases

    def _old_releases(self) -> Iterator[Spare]:
        keep = self.stack.config.deploy.keep
        said = self._said_by_another_run()
        for name in self.releases.beyond(keep):
            if name not in said:
                yield Spare("releases", self.releases.path(name), f"beyond the {keep} that deploy/keep leaves")

    def _orphans(self) -> Iterator[Spare]:
        """Trees without a record, records and inputs without a tree, and what a killed run was about to write."""
        there, needed, said = set(self.releases.all()), self.releases.needed(), self._said_by_another_run()
        for path in self._entries("releases"):
            if path.name in there or path.name in needed or path.name in said:
                continue
            if _RELEASE.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
                yield Spare("releases", path, "no record of it: its build or its removal was broken off")
            else:
                yield from self._torn(path, _RELEASE)
        for path in self._entries("records"):
            if _RELEASE.fullmatch(path.stem) and path.suffix == ".json" and not path.is_symlink():
                if path.stem not in there and path.stem not in said:
                    yield Spare("leftovers", path, "the record of a release that is gone")
            else:
                yield from self._torn(path)
        for path in self._entries("inputs"):
            if _INPUTS.fullmatch(path.name) and not path.is_symlink():
                if self._built(path) not in there | said:
                    yield Spare("leftovers", path, "inputs of a release that is gone")
            else:
                yield from self._torn(path)

    @staticmethod
    def _built(path: Path) -> str:
        with contextlib.suppress(OSError, ValueError):
            return str(json.loads(path.read_text()))
        return ""

    def _torn(self, path: Path, unfinished: re.Pattern[str] | None = None) -> Iterator[Spare]:
        """Something with a name that only a killed run leaves; everything else is strange."""
        hidden = path.name[1:] if path.name.startswith(".") else ""
        left = path.name.startswith(GONE) or _TORN.fullmatch(path.name) or (unfinished and unfinished.fullmatch(hidden))
        if not left or path.is_symlink():
            self._is_strange(path)
        elif not self._somebody_works():
            yield Spare("leftovers", path, "left by a run that was killed")

    # ------------------------------------------------------------------------------------ builds, journals

    def _builds(self) -> Iterator[Spare]:
        for folder in self._entries("builds"):
            if folder.is_symlink() or not folder.is_dir():
                self._is_strange(folder)
                continue
            if folder.name.startswith(GONE):
                yield from self._torn(folder)
                continue
            inside = list(self._entries(f"builds/{folder.name}"))
            odd = [path for path in inside if path.name not in BENCH and not path.name.startswith(GONE)]
            known = folder.name in self.stack.apps
            if not known and _APP.fullmatch(folder.name) and not odd:
                yield Spare("builds", folder, f"adaf.yaml has no application {folder.name}")
                continue
            for path in odd if known else [folder]:
                self._is_strange(path)
            for path in inside if known and not self._somebody_works() else ():
                if path.name == "output" or path.name.startswith(GONE):
                    yield Spare("builds", path, "left by a build that did not end")

    def _journals(self) -> Iterator[Spare]:
        retention = self.stack.config.retention
        running = str(self.owner["run"]) if self.owner else ""
        journals = []
        for path in self._entries("runs"):
            if path.is_symlink() or not _RUN.fullmatch(path.stem) or path.suffix not in (".jsonl", ".control"):
                self._is_strange(path)
            elif path.stem == running:
                continue
            elif path.suffix == ".control":
                yield Spare("leftovers", path, "messages to a run that is dead")
            else:
                journals.append(path)
        oldest = time.time() - retention.days * DAY
        why = f"older than {retention.days:g} days, and {retention.journals} newer ones stay"
        for path in journals[: max(0, len(journals) - retention.journals)]:
            with contextlib.suppress(FileNotFoundError):
                if path.lstat().st_mtime < oldest:
                    yield Spare("journals", path, why)

    # ------------------------------------------------------------------------------------------- who else

    def _somebody_works(self) -> bool:
        """Another run holds the stack (only `--plan` gets here then): what it is making is not left over."""
        nameless = 0  # it found no room for its name: ourselves, on a full disk
        return self.owner is not None and self.owner["pid"] not in (os.getpid(), nameless)

    def _said_by_another_run(self) -> frozenset[str]:
        """Every release that the running run's journal names."""
        if not self._somebody_works() or self.owner is None:
            return frozenset()
        path = journal.directory(self.state) / f"{self.owner['run']}.jsonl"
        with contextlib.suppress(OSError):
            return frozenset(re.findall(r'"([0-9a-f]{12})"', path.read_text(errors="replace")))
        return frozenset(self.releases.all())  # who knows

    def _entries(self, folder: str) -> Iterator[Path]:
        """By name. A folder that somebody moved elsewhere and left a link for is theirs to clean."""
        place = self.state / folder
        if folder and place.is_symlink():
            self._is_strange(place)
            return
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            yield from sorted(place.iterdir())

    def _is_strange(self, path: Path) -> None:
        name = path.relative_to(self.state).as_posix()
        if name not in self.strange:
            self.strange.append(name)


def backends_keep(stack: StackView) -> Iterator[Kept]:
    """What the backends have below the stack's directory."""
    for role in (stack.runtime, stack.database, stack.cache, stack.balancer, stack.proxy, stack.secrets):
        for one in role.kept():
            if one.path.is_relative_to(stack.state) and one.path != stack.state:
                yield one
