"""`nox -s fresh`: the README's commands on bare Debians, as root and as a user with sudo, and how long each takes."""

from __future__ import annotations

import argparse
import re
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fresh.bare import CACHE, ROOT, BareError, bare, require
from fresh.proof import Proof, RefutedError

HERE = Path(__file__).parents[2]
SECOND = {"bookworm"}  # where the README's second command is proved as well
EDGE = ("tests/integration/test_edge.py", "tests/integration/test_edge_visitors.py", "tests/contract/test_balancer.py")
PACKAGES = ("haproxy", "nginx", "postgresql", "redis-server", "s6", "python3")


class Table:
    """How long each phase took, and how it ended."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str, str, str]] = []
        self.failed = False

    @contextmanager
    def phase(self, suite: str, who: str, name: str) -> Iterator[None]:
        """Times what is done in it; a phase that fails ends the proof of this root."""
        begun, end = time.monotonic(), "failed"
        print(f"fresh: {suite} as {who}: {name} ...", flush=True)
        try:
            yield
            end = "ok"
        finally:
            self.add(suite, who, name, time.monotonic() - begun, end)
            print(f"fresh: {suite} as {who}: {name}: {end} ({self.rows[-1][3]} s)", flush=True)

    def add(self, suite: str, who: str, name: str, seconds: float, end: str = "ok") -> None:
        self.failed |= end != "ok"
        self.rows.append((suite, who, name, f"{seconds:.0f}", end))

    def show(self) -> None:
        head = ("debian", "as", "phase", "seconds", "")
        widths = [max(len(row[n]) for row in (head, *self.rows)) for n in range(5)]
        print()
        for row in (head, *self.rows):
            cells = [c.rjust(w) if n == 3 else c.ljust(w) for n, (c, w) in enumerate(zip(row, widths, strict=True))]
            print("  ".join(cells).rstrip())


def commands() -> list[tuple[str, ...]]:
    """The README's two, word for word."""
    found = re.findall(r"^    (\./ci/env .+?) +#", (HERE / "README.md").read_text(), re.MULTILINE)
    first, second = (tuple(shlex.split(line)) for line in found)
    return [first, second]


def prove(suite: str, name: str, args: argparse.Namespace, table: Table) -> None:
    """One bare root: what the README promises there."""
    with ExitStack() as held:
        with table.phase(suite, name, "the bare root"):
            machine = held.enter_context(bare(suite))
        who = ROOT
        if name == "user":
            with table.phase(suite, name, "a user with sudo"):
                who = machine.person()
        go(Proof(machine, who, HERE, CACHE / "logs" / f"{suite}-{name}"), suite, name, args, table)


def go(proof: Proof, suite: str, name: str, args: argparse.Namespace, table: Table) -> None:
    first, second = commands()
    second = tuple(shlex.split(args.instead)) if args.instead else second
    before = proof.boot()
    if "first" in args.only:
        with table.phase(suite, name, shlex.join(first)):
            done = proof.command("first", first)
            proof.deployed(done.stdout)
        for phase, seconds in proof.set_up:
            table.add(suite, name, f"  of these: {phase}", seconds)
        print(f"fresh: {proof.versions(PACKAGES)}\n{done.stdout[done.stdout.rfind('[') :]}", flush=True)
    if "edge" in args.only:
        with table.phase(suite, name, "the verdict sees every failure"):
            edge = proof.command("edge", ("./ci/env", "python", "-m", "pytest", "-q", *EDGE)).stdout.splitlines()[-1]
            proof.check(" passed" in edge and " skipped" not in edge, edge)
    if "first" in args.only:
        with table.phase(suite, name, "inv down --purge leaves nothing"):
            proof.command("down", ("./ci/env", "inv", "down", "--purge"))
            proof.nothing_left(before)
    if "second" in args.only and (suite in SECOND or args.instead):
        with table.phase(suite, name, shlex.join(second)):
            proof.command("second", second, seconds=5000)
            proof.nothing_left(before)


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nox -s fresh --", description=__doc__)
    parser.add_argument("--suite", action="append", choices=["trixie", "bookworm"], help="default: both")
    parser.add_argument("--as", action="append", dest="who", choices=["root", "user"], help="default: both")
    parser.add_argument("--only", action="append", choices=["first", "edge", "second"], help="default: all")
    parser.add_argument("--instead", metavar="CMD", help="what to run in the place of the README's second command")
    args = parser.parse_args(words)
    args.suite = args.suite or ["trixie", "bookworm"]
    args.who = args.who or ["root", "user"]
    args.only = args.only or ["first", "edge", "second"]
    return args


def main() -> int:
    args, table = parse(sys.argv[1:]), Table()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and the root is deleted
    try:
        require()
        for suite in args.suite:
            for name in args.who:
                try:
                    prove(suite, name, args, table)
                except RefutedError as refuted:
                    print(f"error: {suite} as {name}: {refuted}\nhint: {refuted.hint}", file=sys.stderr, flush=True)
    except BareError as missing:
        print(f"error: {missing}\nhint: {missing.hint}", file=sys.stderr)
        return 6
    except KeyboardInterrupt:
        return 130
    finally:
        table.show()
    return 1 if table.failed or not table.rows else 0


if __name__ == "__main__":
    sys.exit(main())
