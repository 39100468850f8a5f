"""What was built, what is where, and what went live: the records below the stack's state directory.

releases/ID/            the runnable tree: ID is the beginning of the artefact's sha256
records/ID.json         how it was built
inputs/HASH             the release that these inputs gave
colours.json            which release each colour holds, which was confirmed last, and whose the workers are
history.jsonl           one line a deploy or rollback, oldest first
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path

from adaf_pipeline.errors import AdafError, PreconditionError
from adaf_pipeline.event import Json
from adaf_pipeline.roles import COLOURS, StackView
from adaf_pipeline.workflows import tree


class Releases:
    """The records of one stack. Reads are pure; writes are atomic."""

    def __init__(self, state: Path) -> None:
        self.state = state

    # -------------------------------------------------------------------------------------------- releases

    def path(self, release: str) -> Path:
        return self.state / "releases" / release

    def record(self, release: str) -> dict[str, Json]:
        """How a release was built; {} when unknown."""
        return dict(self._read(self.state / "records" / f"{release}.json", {}))

    def keep(self, record: Mapping[str, Json]) -> None:
        """Remember a built release (``release``, ``inputs``, ``artefact``, ...)."""
        _write(self.state / "records" / f"{record['release']}.json", record)
        _write(self.state / "inputs" / str(record["inputs"]), record["release"])

    def built_from(self, inputs: str) -> str:
        """The release that these inputs gave and that is still there, or ""."""
        release = self._read(self.state / "inputs" / inputs, "")
        return release if release and self.path(release).is_dir() else ""

    def all(self) -> list[str]:
        """Every release that is still there, oldest first."""
        folder = self.state / "records"
        names = [path.stem for path in folder.glob("*.json") if self.path(path.stem).is_dir()]
        return sorted(names, key=lambda name: self.record(name).get("built", 0))

    def find(self, beginning: str) -> str:
        """The release whose id begins so. PreconditionError when none, or more than one, does."""
        found = [name for name in self.all() if name.startswith(beginning)]
        if len(found) == 1:
            return found[0]
        if not found:
            every = self.all()
            near = get_close_matches(beginning, every, cutoff=0.5) or get_close_matches(
                beginning, [name[: len(beginning)] for name in every], cutoff=0.5
            )
            known = ", ".join(every[-5:]) or "none: `inv build` makes one"
            meant = [name for name in every if any(name.startswith(text) for text in near)]
            hint = f"did you mean {' or '.join(meant[:3])}? " if meant else ""
            raise PreconditionError(f"no release {beginning}", f"{hint}there are: {known}")
        raise PreconditionError(f"{beginning} fits {len(found)} releases: {', '.join(found)}", "give more of the id")

    def needed(self) -> dict[str, str]:
        """By release, why it must stay: what the colours hold, and what a rollback would go back to."""
        colours = self.colours()
        found = {str(content.get("release")): f"{colour} holds it" for colour, content in colours.items()}
        live = str(colours.get(self.confirmed(), {}).get("release", ""))
        good = self.previous_good(live) if live else ""
        if good:
            found.setdefault(good, f"a rollback from {live} goes back to it")
        return found

    def beyond(self, keep: int) -> list[str]:
        """Releases that nothing needs, as many as there are more than ``keep`` in all, in the order in which they go.

        Those that never held go before those that one may want to go back to, but for the newest of them, which one may
        want to read about; each kind oldest first. A pure read.
        """
        there, needed = self.all(), self.needed()
        outcomes: dict[str, set[str]] = {}
        for entry in self.history():
            outcomes.setdefault(str(entry.get("release")), set()).add(str(entry.get("outcome")))
        failed = [n for n in there if "rolled back" in outcomes.get(n, ()) and "live" not in outcomes[n]][:-1]
        order = [*failed, *(name for name in there if name not in failed)]
        return [name for name in order if name not in needed][: max(0, len(there) - keep)]

    def remove(self, release: str) -> None:
        """Forget and delete one: first nobody finds it any more, then it goes. OSError when it stays."""
        for path in (self.state / "inputs").glob("[0-9a-f]*"):
            with contextlib.suppress(PreconditionError):  # a damaged one leads nowhere
                if self._read(path, "") == release:
                    path.unlink(missing_ok=True)
        (self.state / "records" / f"{release}.json").unlink(missing_ok=True)
        tree.discard(self.path(release))

    def forget_old(self, keep: int, discard: Callable[[str], None]) -> list[str]:
        """Remove what is beyond ``keep``; returns the ids. What cannot be removed, or told, stays for `prune`.

        ``discard``: the runtime's. First, while there is a record: what it made is never left without one.
        """
        try:
            gone = self.beyond(keep)
        except PreconditionError:  # a damaged record of some release is no reason to take back another
            return []
        for name in gone:
            with contextlib.suppress(OSError, AdafError):
                discard(name)
                self.remove(name)
        return gone

    # --------------------------------------------------------------------------------------------- colours

    def colours(self) -> dict[str, dict[str, Json]]:
        """By colour: ``release``, ``config`` (digest of its Services without the release), ``workers``, ``at``."""
        return dict(self._read(self.state / "colours.json", {}).get("colours", {}))

    def confirmed(self) -> str:
        """The colour that passed the last pivot, or ""."""
        return str(self._read(self.state / "colours.json", {}).get("confirmed", ""))

    def hold(self, colour: str, content: Mapping[str, Json] | None) -> None:
        """Note what a colour holds (None: nothing)."""
        colours = self.colours()
        colours.pop(colour, None)
        if content is not None:
            colours[colour] = dict(content)
        self._note_colours(colours=colours)

    def confirm(self, colour: str) -> None:
        self._note_colours(confirmed=colour)

    def workers(self) -> str:
        """The colour whose release all workers run, or "": there are none, or a switch was broken off."""
        return str(self._read(self.state / "colours.json", {}).get("workers", ""))

    def give_workers(self, colour: str) -> None:
        self._note_colours(workers=colour)

    def _note_colours(self, **changed: Json) -> None:
        path = self.state / "colours.json"
        _write(path, {"colours": {}, "confirmed": "", **self._read(path, {}), **changed})

    # --------------------------------------------------------------------------------------------- history

    def history(self) -> list[dict[str, Json]]:
        """Every deploy and rollback: ``at``, ``task``, ``run``, ``release``, ``outcome``, ..., oldest first."""
        try:
            lines = (self.state / "history.jsonl").read_text().splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            with contextlib.suppress(ValueError):  # torn by a power cut
                found.append(dict(json.loads(line)))
        return found

    def note(self, entry: Mapping[str, Json]) -> None:
        """Append to the history, on the disk before this returns."""
        line = json.dumps({"at": round(time.time(), 3), **entry}, default=str) + "\n"
        handle = os.open(self.state / "history.jsonl", os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            size = os.fstat(handle).st_size
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            os.write(handle, (("\n" if torn else "") + line).encode())
            os.fdatasync(handle)
        finally:
            os.close(handle)

    def taken_back(self, release: str) -> bool:
        """Whether the newest deploy of a release did not hold."""
        deploys = [
            entry for entry in self.history() if entry.get("task") == "deploy" and entry.get("release") == release
        ]
        return bool(deploys) and deploys[-1].get("outcome") == "rolled back"

    def previous_good(self, current: str) -> str:
        """The newest release, other than ``current``, that went live before it and was not taken back."""
        good: list[str] = []
        runs: dict[str, Json] = {}
        for entry in self.history():
            release, replaced = str(entry.get("release")), str(entry.get("replaced"))
            if entry.get("outcome") == "rolled back":  # its own run may have written "live" just before it failed
                good = [name for name in good if (name, entry.get("run")) != (release, runs.get(name))]
            if entry.get("outcome") != "live":
                continue
            runs[release] = entry.get("run")
            # of two deploys of one release the first one's settings are good, and so is the release
            back = entry.get("task") == "rollback" and release in good and replaced in good[good.index(release) + 1 :]
            if back:  # going back says that what was there is not good; going forward again says that it is
                good.remove(replaced)
            else:
                good = [*(name for name in good if name != release), release]
        before = good[: good.index(current)] if current in good else good
        there = [name for name in before if self.path(name).is_dir()]
        return there[-1] if there else ""

    @staticmethod
    def _read(path: Path, default: Json) -> Json:
        try:
            return json.loads(path.read_text())
        except FileNotFoundError:
            return default
        except ValueError as exc:
            raise PreconditionError(f"{path}: damaged: {exc}", "restore it, or move it aside and deploy again") from exc


def live_colour(stack: StackView) -> str:
    """Who serves: the colour with all visitors by the persisted share; in a broken-off canary the confirmed one."""
    share = stack.balancer.share()
    whole = [colour for colour, percent in share.items() if percent >= 100]
    if whole:
        return whole[0]
    if not share:
        return ""
    return Releases(stack.state).confirmed() or max(share, key=lambda colour: share[colour])


def other(colour: str) -> str:
    """The other colour; blue when there is none yet."""
    return COLOURS[0] if colour != COLOURS[0] else COLOURS[1]


def _write(path: Path, content: Json) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "w", encoding="utf-8") as sink:
        json.dump(content, sink, indent=1, default=str)
        sink.flush()
        os.fsync(sink.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)  # the rename itself: a power cut must not bring back what was before
    finally:
        os.close(folder)
