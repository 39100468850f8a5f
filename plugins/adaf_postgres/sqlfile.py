"""Migrations as files: what they are called, what they say, and which are still to be applied."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from adaf_pipeline.errors import PreconditionError


@dataclass(frozen=True, slots=True)
class Migration:
    name: str
    text: str
    checksum: str

    @property
    def transactional(self) -> bool:
        return not re.match(r"--\s*no-transaction\b", self.text, re.IGNORECASE)

    def line(self, position: str | None) -> str:
        """`` line 12`` for a position in characters as the server counts, "" when it does not know one."""
        return f" line {self.text.count(chr(10), 0, int(position) - 1) + 1}" if position else ""


def read(files: Iterable[Path]) -> list[Migration]:
    """All of them before anything is applied."""
    found: dict[str, Migration] = {}
    for file in files:
        try:
            raw = file.read_bytes()
            text = raw.decode("utf-8-sig")
        except OSError as exc:
            raise PreconditionError(
                f"{file}: {exc.strerror}", "the list of migrations names a file that is not there"
            ) from exc
        except UnicodeDecodeError as exc:
            raise PreconditionError(f"{file}: byte {exc.start} is not UTF-8", "save the file as UTF-8") from exc
        if file.name in found:
            raise PreconditionError(
                f"two migrations are called {file.name}", "their names are their identity: rename one"
            )
        found[file.name] = Migration(file.name, text, hashlib.sha256(raw).hexdigest())
    return list(found.values())


def pending(migrations: list[Migration], applied: dict[str, str]) -> list[Migration]:
    """What is not recorded yet. Records without a file are fine: an older release knows fewer."""
    for migration in migrations:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise PreconditionError(
                f"{migration.name}: has changed since it was applied; nothing was applied now",
                "restore the file as it was, and put the change into a new migration",
            )
    return [migration for migration in migrations if migration.name not in applied]
