"""The role Secrets over a directory of files."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from adaf_files.store import VALUE, Store
from adaf_pipeline.errors import ConfigError
from adaf_pipeline.roles import Finding, Kept, Secrets

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST = 63


class Files(Secrets):
    """``<state>/secrets/NAME/value`` is the current value: a path that stays while what is behind it changes."""

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """How values are made."""

        random_bytes: Annotated[
            int, msgspec.Meta(ge=24, le=64, description="randomness of a new value; 24 bytes are 32 characters")
        ] = 32

    settings: Settings

    @property
    def directory(self) -> Path:
        return self.stack.state / "secrets"

    def ensure(self, names: Iterable[str]) -> tuple[str, ...]:
        wanted = [_valid(name) for name in dict.fromkeys(names)]
        store = self._store()
        missing = [name for name in wanted if store.current(name) is None]
        if not missing:
            return ()
        with store.locked():  # somebody else may have made them since
            return tuple(name for name in missing if store.add_first(name, self._generate))

    def path(self, name: str) -> Path:
        self.value(name)  # nobody is sent to a file that others may have written
        return self.directory / name / VALUE

    def value(self, name: str) -> str:
        return self._store().read(_valid(name))

    def names(self) -> Mapping[str, int]:
        store = self._store()
        versions = {name: store.current(name) for name in store.folders() if _NAME.fullmatch(name)}
        return {name: version for name, version in versions.items() if version is not None}

    def kept(self) -> Iterable[Kept]:
        yield Kept("records", "secrets", self.directory)

    def doctor(self) -> Iterable[Finding]:
        problems = list(self._store().problems())
        for what, hint in problems:
            yield Finding(False, what, hint)
        if not problems:
            yield Finding(True, f"secrets: {len(self.names())}, readable by their owner only ({self.directory})")

    def _generate(self) -> str:
        return secrets.token_urlsafe(self.settings.random_bytes)

    def _store(self) -> Store:
        return Store(self.directory, self.stack.account if os.geteuid() == 0 else None)


def _valid(name: str) -> str:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise ConfigError(f"secret {name!r}: not a name", "lower-case letters and digits in words joined by -")
    return name
