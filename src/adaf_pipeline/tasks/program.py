"""The same tasks as a program of their own, for repositories without a tasks.py: ``adaf deploy --canary``."""

from __future__ import annotations

import sys

from invoke.exceptions import ParseError
from invoke.program import Program

from adaf_pipeline.tasks import namespace


class AdafProgram(Program):
    """Invoke's Program, but unknown flags and tasks end with 2, as everywhere else in the world."""

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:  # noqa: A002  invoke's name
        try:
            self.create_config()
            self.parse_core(argv)
            self.parse_collection()
            self.parse_tasks()
        except ParseError as exc:
            print(f"error: {exc}", file=sys.stderr)
            print("hint: adaf --list shows the tasks, adaf --help TASK its flags", file=sys.stderr)
            sys.exit(2)
        except Exception:  # noqa: BLE001  help and listings leave by invoke's own exceptions: let it handle them
            pass
        super().run(argv, exit)


def main() -> None:
    from importlib.metadata import version

    AdafProgram(name="adaf", binary="adaf", namespace=namespace(), version=version("adaf-pipeline")).run()
