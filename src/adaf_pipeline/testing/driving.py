"""The commands of a user in a checkout, and what each of them gave."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from adaf_pipeline import config
from adaf_pipeline.stack import Stack, open_stack
from adaf_pipeline.tasks import dispatch
from adaf_pipeline.tasks.program import program
from adaf_pipeline.testing import fakes
from adaf_pipeline.testing.runtime import FakeRuntime
from adaf_pipeline.testing.visitors import Visitors

PLAIN = {"NO_COLOR": "1", "COLUMNS": "300"}


@dataclass
class Outcome:
    """How a command ended: exit code, JSON document ({} when stdout held none), and what it printed."""

    code: int
    document: dict[str, Any]
    stdout: str
    stderr: str


class Commands:
    """Each command is a process in ``folder``, as in a user's terminal (without one)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment: dict[str, str] = dict(PLAIN)

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        """Begin ``adaf WORDS``; ``env`` is added to its environment."""
        return subprocess.Popen(
            [sys.executable, "-c", "from adaf_pipeline.tasks.program import main; main()", *words],
            cwd=self.folder,
            env={**os.environ, **self.environment, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, child: subprocess.Popen[str], seconds: float = 120) -> Outcome:
        """Wait for its end; one that takes longer is interrupted, and that is an AssertionError."""
        try:
            out, err = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=60)
            raise AssertionError(f"did not end within {seconds} s:\n{out}\n{err}") from None
        return self.outcome(child.returncode, out, err)

    @staticmethod
    def reach(child: subprocess.Popen[str], step: str) -> None:
        """Read on until a running deploy (with --json: it talks on stderr) says that it begins ``step``."""
        assert child.stderr is not None
        for line in child.stderr:
            if f"] {step}: " in line:
                return
        raise AssertionError(f"ended before {step}: {child.communicate()}")

    def run(self, *words: str, **env: str) -> Outcome:
        """``adaf WORDS`` from beginning to end."""
        return self.finish(self.start(*words, **env))

    def ok(self, *words: str) -> dict[str, Any]:
        """The JSON document of a command that has to succeed."""
        done = self.run(*words, "--json")
        assert done.code == 0, f"{words}: exit {done.code}\n{done.stdout}\n{done.stderr}"
        return done.document

    def outcome(self, code: int, out: str, err: str) -> Outcome:
        """Subclasses look at the document here."""
        return Outcome(code, json.loads(out) if out.lstrip().startswith("{") else {}, out, err)


class Pipeline(Commands):
    """A stack of fakes in which each role can be filled by a backend under test. Commands run in this process.

    ``visitors`` come by while a deploy watches, as long as the runtime is the fake and the balancer one that lives in
    this process (see ``testing.balancer.InProcess``). ``stack`` is the Stack that all commands share until the next
    ``configure``, so ``pipeline.stack.balancer`` is the object that they used.
    """

    FAKES: Mapping[str, Any] = {
        "runtime": "fake",
        "apps": {"web": {"use": "fake", "path": "app"}},
        **dict.fromkeys(("balancer", "proxy", "database", "cache", "secrets"), "fake"),
        "deploy": {
            "steps": [20, 50],
            "window": 0.1,
            "bake": 0.1,
            "passes": 2,
            "ready_timeout": 0.5,
            "warmup": 0,
            "probe": {"baseline": 0},
        },
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        given = os.environ.get("ADAF_PLUGINS", "")
        self.environment["ADAF_PLUGINS"] = os.pathsep.join(filter(None, (str(fakes.__file__), given)))
        self.visitors = Visitors()
        self._stacks: dict[str, Stack] = {}
        (folder / "app").mkdir(exist_ok=True)
        self.change("one")
        self.configure()

    def configure(self, **sections: Any) -> None:
        """Write adaf.yaml: fakes and a hasty deploy, but for these: ``configure(balancer={"use": "mine", "size": 3})``."""
        (self.folder / config.FILE).write_text(yaml.safe_dump({**self.FAKES, **sections}, sort_keys=False))
        self._stacks.clear()

    def change(self, body: str) -> None:
        """Another version of the application: the next deploy has something to do."""
        (self.folder / "app" / "main.txt").write_text(f"{body}\n")

    @property
    def stack(self) -> Stack:
        """ConfigError and PluginError as any command would meet them."""
        with contextlib.chdir(self.folder), mock.patch.dict(os.environ, self.environment):
            return self._opened()

    def _opened(self, name: str = "") -> Stack:
        """One Stack for each overlay: fakes remember nothing beyond their object."""
        if name not in self._stacks:
            self._stacks[name] = open_stack(name)
        return self._stacks[name]

    def run(self, *words: str, **env: str) -> Outcome:
        """``adaf WORDS`` from beginning to end, in this process; with ``--json`` its document is read."""
        out, err = io.StringIO(), io.StringIO()
        with self._inside(env), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                program().run(["adaf", *words])
                code = 0
            except SystemExit as exc:
                code = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
        return self.outcome(code, out.getvalue(), err.getvalue())

    @contextlib.contextmanager
    def _inside(self, env: Mapping[str, str]) -> Iterator[None]:
        mask = os.umask(0o022)
        os.umask(mask)
        with (
            contextlib.chdir(self.folder),
            mock.patch.dict(os.environ, {**self.environment, **env}),
            mock.patch.object(dispatch, "open_stack", self._opened),
            self.visitors.instead_of_probes() if self._faked() else contextlib.nullcontext(),
        ):
            try:
                yield
            finally:
                os.umask(mask)

    def _faked(self) -> bool:
        """Whether nothing of it runs. What is wrong with its configuration is the command's to say."""
        try:
            faked = isinstance(self.stack.runtime, FakeRuntime)
            balancer = self.stack.balancer
        except Exception:  # noqa: BLE001
            return True
        self.visitors.balancer = balancer if hasattr(balancer, "place") else None  # type: ignore[assignment]
        return faked
