"""One building account's tools and surroundings: every command of a build goes through here."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from adaf_nextjs import network, tools
from adaf_pipeline.errors import ProcessError
from adaf_pipeline.process import Account, run, stream
from adaf_pipeline.roles import Workplace

KEPT = 400  # lines of a command's output that its failure is judged by
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # some tools don't care for NO_COLOR


@dataclass(frozen=True)
class Workbench:
    """``store`` holds pnpm's packages for all stacks of the account, so that only the first install is a download."""

    place: Workplace
    account: Account | None
    node: tools.Node
    pnpm: Path
    store: Path
    environment: Mapping[str, str]  # the settings' build_environment and ADAF_BUILD_ID

    @property
    def home(self) -> Path:
        """The account's own home is not writable, and a developer's configuration is not wanted in a build."""
        return self.place.source / ".adaf-home"

    def open(self) -> None:
        """Make home and store, and tell pnpm how to reach the registry."""
        self.quietly("mkdir", "-p", "-m", "0700", "--", str(self.home))
        self.quietly("tee", str(self.home / ".npmrc"), stdin=network.npmrc().encode())
        self.store.mkdir(parents=True, exist_ok=True)
        if self.account is not None and os.geteuid() == 0:  # its parent is ours: no link can be planted
            os.chown(self.store, self.account.uid, self.account.gid, follow_symlinks=False)

    def surroundings(self) -> dict[str, str]:
        """The environment of every command; pnpm 10 reads npm_config_*, pnpm 11 pnpm_config_*."""
        settings = {"manage_package_manager_versions": "false", "update_notifier": "false"}
        return {
            **self.environment,
            **{f"{prefix}_config_{k}": v for prefix in ("npm", "pnpm") for k, v in settings.items()},
            "PATH": tools.search_path(self.node, self.pnpm.parent),
            "HOME": str(self.home),
            "CI": "1",
            "NO_COLOR": "1",
            "NEXT_TELEMETRY_DISABLED": "1",
        }

    def stream(
        self,
        *argv: str,
        timeout: float,
        said: Callable[[str], None] = lambda _line: None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        """Run a program in the work copy; the ProcessError of a failure carries its last KEPT lines as ``detail``."""
        lines: deque[str] = deque(maxlen=KEPT)

        def line(raw: str) -> None:
            text = _COLOUR.sub("", raw)
            lines.append(text)
            said(text)

        try:
            stream(
                argv,
                self.place.log,
                line=line,
                account=self.account,
                env={**self.surroundings(), **(more or {})},
                cwd=self.place.source,
                timeout=timeout,
            )
        except ProcessError as exc:
            raise ProcessError(exc.message, exc.hint, detail=tuple(lines)) from exc

    def quietly(self, *argv: str, stdin: bytes = b"") -> None:
        """A file command in the work copy, as the account: our root rights never follow a link of its making."""
        run(argv, account=self.account, cwd=self.place.source, timeout=600, stdin=stdin)

    def has(self, name: str) -> bool:
        """Whether the work copy holds this: a look, nothing more."""
        return (self.place.source / name).exists()
