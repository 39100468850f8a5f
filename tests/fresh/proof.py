"""What a new user of the README does and sees on a machine, checked."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from fresh.bare import ROOT, Account, Bare

BOOT = "find /etc/systemd/system /etc/rc?.d -type l -not -name 'K*' 2>/dev/null | sort"
ASKED = re.compile(r"^hint: run as root: (.+ --packages)$", re.MULTILINE)
PHASE = re.compile(r"^env: (.+): (\d+) s$", re.MULTILINE)


class RefutedError(Exception):
    """The README promised something else: what happened, and where all of it is."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Proof:
    """A checkout on a bare machine, and whoever uses it: below a home of its own, in a folder whose name has a space."""

    def __init__(self, machine: Bare, who: Account, repository: Path, logs: Path) -> None:
        self.machine = machine
        self.who = who
        self.logs = logs
        self.folder = f"{who.home}/adaf pipeline"
        self.set_up: list[tuple[str, int]] = []
        logs.mkdir(parents=True, exist_ok=True)
        inside = machine.inside(self.folder)
        subprocess.run(["git", "clone", "-q", "--no-hardlinks", repository, inside], check=True)
        machine.must("chown", "-R", f"{who.name}:", self.folder)

    def command(self, label: str, words: Sequence[str], seconds: float = 1800) -> subprocess.CompletedProcess[str]:
        """As typed. A user whose packages are missing runs the one command it is shown as root, and goes on."""
        done = self.type(label, words, seconds)
        asked = ASKED.search(done.stderr)
        if self.who != ROOT and done.returncode == 6 and asked:
            as_root = self.type("packages", ("sh", "-c", f"sudo {asked.group(1)}"), seconds)
            self.refute(as_root, 0, "packages")
            done = self.type(label, words, seconds)
        self.refute(done, 0, label)
        return done

    def type(self, label: str, words: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
        log = self.logs / f"{label}.log"
        done = self.machine.run(*words, who=self.who, folder=self.folder, log=log, seconds=seconds)
        self.set_up += [(name, int(took)) for name, took in PHASE.findall(done.stderr)]
        return done

    def refute(self, done: subprocess.CompletedProcess[str], code: int, label: str) -> None:
        if done.returncode != code:
            said = "\n".join([*done.stdout.splitlines()[-30:], *done.stderr.splitlines()[-30:]])
            raise RefutedError(f"{label}: exit {done.returncode}\n{said}", f"all it said is in {self.logs}")

    def check(self, good: bool, what: str) -> None:
        if not good:
            raise RefutedError(what, f"all it said is in {self.logs}")

    def deployed(self, said: str) -> None:
        """The release is live, answers at the address that was shown, and the checkout is as clean as it was."""
        last = said.rstrip().splitlines()
        self.check(bool(last) and last[-1].startswith("next: inv status | inv "), "the last line is not what is next")
        document = json.loads(self.command("status", ("./ci/env", "inv", "status", "--json")).stdout)
        self.check(document["ok"], f"status: {document}")
        live = f"{document['url']}   release {document['release']} is live"
        self.check(live in said, f"nowhere: {live}")
        with urllib.request.urlopen(document["url"], timeout=20) as answer:  # the network is the same
            self.check(answer.headers["x-release-id"] == document["release"], "another release answers")
            self.check(b"<table" in answer.read(), "what answers is not the dashboard")
        dirty = self.command("git", ("git", "status", "--porcelain")).stdout
        self.check(dirty == "", f"the checkout changed:\n{dirty}")

    def boot(self) -> set[str]:
        """What the machine starts when it boots."""
        return set(self.machine.must("sh", "-c", BOOT).splitlines())

    def nothing_left(self, boot: set[str]) -> None:
        """No process, no service that starts at boot, no file of ci/env that keeps services from starting."""
        left = self.machine.processes()
        self.check(not left, f"still running: {left}")
        self.check(self.boot() <= boot, f"starts at boot: {self.boot() - boot}")
        for path in ("/usr/sbin/policy-rc.d", "/etc/postgresql/15", "/etc/postgresql/17"):
            self.check(not self.machine.inside(path).exists(), f"{path} is left")

    def versions(self, packages: Sequence[str]) -> str:
        asked = ("dpkg-query", "-W", "-f", "${Package} ${Version}, ", *packages)
        return self.machine.run(*asked).stdout.rstrip(", ")
