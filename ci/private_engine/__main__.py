"""A Docker engine in a directory: Debian's packages, unpacked there; nothing of the machine is installed or replaced.

ci/engine start DIR [--netns]   make it if it is not there, start it, print how a shell reaches it
ci/engine stop DIR              remove its containers and networks and end it; images stay, as files in DIR
ci/engine cut DIR               end all of it at once, as a power cut does; `start` is the power coming back
ci/engine status DIR            print how a shell reaches it; exit 1 when it does not answer

Needs root. After `stop` nothing of it is left but DIR: no process, mount, bridge, firewall rule, cgroup or kernel setting.
--netns: in a network namespace of its own that nothing leads out of; nsenter --net=DIR/netns enters it.
Exit 6: it cannot be had, with the reason in two lines.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from private_engine.engine import Engine
from private_engine.errors import EngineError


def main() -> int:
    parser = argparse.ArgumentParser(prog="ci/engine", usage="%(prog)s WORD DIR [--netns]\n\n" + (__doc__ or ""))
    parser.add_argument("word", choices=["start", "stop", "cut", "status"])
    parser.add_argument("place", type=Path, metavar="DIR")
    parser.add_argument("--netns", action="store_true")
    args = parser.parse_args()
    engine = Engine(args.place.absolute())
    try:
        if args.word != "status" and os.geteuid() != 0:
            raise EngineError("an engine needs root", f"sudo ci/engine {args.word} {args.place}")
        if args.word == "start":
            engine.start(apart=args.netns)
        elif args.word == "stop":
            engine.stop()
        elif args.word == "cut":
            engine.cut()
    except EngineError as failed:
        print(f"error: {failed}\nhint: {failed.hint}", file=sys.stderr)
        return 6
    if args.word in ("start", "status"):
        for name, value in engine.shell.items():
            print(f"export {name}={shlex.quote(value)}")
    return 0 if args.word != "status" or engine.answers() else 1


if __name__ == "__main__":
    sys.exit(main())
