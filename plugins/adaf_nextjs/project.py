"""What the application's own files say, read without starting anything."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaf_nextjs import locks, versions
from adaf_pipeline.errors import ConfigError, PreconditionError

LOCK = "pnpm-lock.yaml"
WORKSPACE = "pnpm-workspace.yaml"
FOREIGN = {
    "package-lock.json": "npm",
    "npm-shrinkwrap.json": "npm",
    "yarn.lock": "Yarn",
    "bun.lock": "Bun",
    "bun.lockb": "Bun",
}
TRACES = {  # in node_modules: who made it
    ".package-lock.json": "npm",
    ".yarn-integrity": "Yarn",
    ".yarn-state.yml": "Yarn",
}
IMPORTABLE = ("npm", "Yarn")  # `pnpm import` reads their locks
CONFIGS = ("next.config.js", "next.config.mjs", "next.config.ts", "next.config.mts", "next.config.cjs")
_FROM_ELSEWHERE = re.compile(r"""process\.env|["']\.{1,2}/|require\(""")

# what tools make or a developer keeps to himself: none of it belongs to a release
SKIPPED_FOLDERS = {"node_modules", ".next", ".git", ".turbo", ".vercel", ".swc", ".adaf-home", "__pycache__"}
SKIPPED_FILES = re.compile(r"next-env\.d\.ts|.*\.tsbuildinfo|\.env(\..+)?\.local|\.DS_Store|\.adaf-inputs")


@dataclass(frozen=True)
class Project:
    """package.json, as far as it matters. ``label`` begins every message, ``folder`` is how a person types the path."""

    path: Path
    label: str
    folder: str

    @property
    def root(self) -> Path:
        """Where the lock lies: the application's own folder, or the pnpm workspace that it is a part of."""
        if (self.path / LOCK).is_file():
            return self.path
        for folder in self.path.parents:
            if (folder / LOCK).is_file() and (folder / WORKSPACE).is_file():
                return folder
            if (folder / ".git").exists():
                break
        return self.path

    @property
    def within(self) -> str:
        """The application's place below ``root``; "" when it is the root itself."""
        found = self.path.relative_to(self.root).as_posix()
        return "" if found == "." else found

    def manifest(self) -> dict[str, Any]:
        """package.json; PreconditionError when it cannot be read or is no Next.js application's."""
        found = self.read()
        if "next" not in _mapping(found, "dependencies"):
            raise PreconditionError(
                f"{self.label}: package.json does not depend on next",
                f"{self.pnpm('add next')}; or, if it is no Next.js application, choose another backend with `use:`",
            )
        return found

    def read(self) -> dict[str, Any]:
        """package.json as it is; PreconditionError when it cannot be read."""
        file = self.path / "package.json"
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError as exc:
            raise PreconditionError(
                f"{self.label}: no package.json in {self.folder}", "`path` in adaf.yaml must lead to the application"
            ) from exc
        except (OSError, UnicodeDecodeError) as exc:
            raise PreconditionError(
                f"{self.label}: package.json cannot be read: {exc}", "make it a readable text file"
            ) from exc
        except json.JSONDecodeError as exc:
            where = f"{self.label}: package.json:{exc.lineno}:{exc.colno}"
            raise PreconditionError(f"{where}: not JSON: {exc.msg}", "look at a comma or quote there") from exc
        if not isinstance(found, dict):
            raise PreconditionError(f"{self.label}: package.json is not an object", "it begins with { and ends with }")
        return found

    def check_lock(self) -> None:
        """There must be pnpm's lock, and no other."""
        foreign = [name for name in FOREIGN if (self.path / name).exists()]
        if (self.root / LOCK).is_file():
            for name in foreign:
                raise PreconditionError(
                    f"{self.label}: two lock files: {LOCK} and {name} ({FOREIGN[name]})", f"rm {self.typed(name)}"
                )
            return
        for name in foreign:
            manager = FOREIGN[name]
            convert = "import" if manager in IMPORTABLE else "install --lockfile-only"
            raise PreconditionError(
                f"{self.label}: locked with {manager}, not pnpm: there is {name}, but no {LOCK}",
                f"{self.pnpm(convert)} && rm {self.typed(name)}",
            )
        for folder in self.path.parents:
            if (folder / LOCK).is_file():
                raise PreconditionError(
                    f"{self.label}: {LOCK} lies in {os.path.relpath(folder, self.path)}, which is no workspace: no {WORKSPACE}",
                    f"give the application a lock of its own: {self.pnpm('install --ignore-workspace --lockfile-only')}",
                )
            if (folder / ".git").exists():
                break
        raise PreconditionError(f"{self.label}: {LOCK} is missing", self.pnpm("install --lockfile-only"))

    @property
    def unlocked(self) -> bool:
        """Whether no manager has locked it yet."""
        return not (self.root / LOCK).exists() and not any((self.path / name).exists() for name in FOREIGN)

    def check_step(self) -> None:
        """The lock was made for this package.json: pnpm itself would find that only when it installs."""
        renew = self.pnpm("install --no-frozen-lockfile")
        try:
            found = locks.drift(self.read(), self.root / LOCK, self.within)
        except FileNotFoundError:
            return  # which check_lock says
        except (ValueError, OSError) as exc:
            raise PreconditionError(
                f"{self.label}: {LOCK} cannot be read: {exc}",
                f"take the committed one (git checkout -- {self.typed(LOCK)}), or make it anew: {renew}",
            ) from exc
        if found:
            raise PreconditionError(
                f"{self.label}: {LOCK} is not up to date with package.json", f"{renew}, and commit {LOCK}", detail=found
            )

    def pnpm_version(self, known: str) -> str:
        """The version of ``packageManager``, which must be exact. ``known`` is one to suggest."""
        said = self.manifest().get("packageManager") or self._workspace_manifest().get("packageManager")
        line = f'"packageManager": "pnpm@{known}"'
        if said is None:
            raise PreconditionError(f"{self.label}: package.json does not say which pnpm", f"add the line  {line},")
        name, _, version = str(said).partition("@")
        if name != "pnpm":
            raise PreconditionError(
                f"{self.label}: package.json: packageManager is {said}, not pnpm", f"make it  {line}"
            )
        version = version.partition("+")[0]  # a hash may follow
        if not versions.exact(version):
            raise PreconditionError(
                f"{self.label}: package.json: packageManager {said} is not an exact version", f"make it  {line}"
            )
        return version

    def _workspace_manifest(self) -> dict[str, Any]:
        """The package.json of the workspace; {} without one, or when it cannot be read: pnpm says so itself."""
        try:
            found = json.loads((self.root / "package.json").read_text(encoding="utf-8")) if self.within else {}
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def wanted_node(self) -> str:
        """``engines.node``, "" for any."""
        return str(_mapping(self.manifest(), "engines").get("node", ""))

    def check_engines(self, pnpm: str) -> None:
        """``engines.pnpm`` and ``packageManager`` may not contradict each other: pnpm would refuse itself."""
        wanted = str(_mapping(self.manifest(), "engines").get("pnpm", ""))
        if not versions.satisfies(pnpm, wanted):
            raise PreconditionError(
                f"{self.label}: package.json wants pnpm {wanted}, its packageManager is {pnpm}", "make them agree"
            )

    def check_modules(self) -> None:
        """``node_modules`` of another manager: pnpm would ask before it deletes them, and fail where nobody answers."""
        for trace, manager in TRACES.items():
            if (self.path / "node_modules" / trace).is_file():
                raise PreconditionError(
                    f"{self.label}: node_modules was installed by {manager}, not pnpm",
                    f"rm -rf {self.typed('node_modules')} && {self.pnpm('install --frozen-lockfile')}",
                )

    def scripts(self) -> dict[str, Any]:
        return _mapping(self.manifest(), "scripts")

    def check_standalone(self) -> None:
        """Refuse early what would fail after a whole build. A configuration made elsewhere gets the benefit of doubt."""
        found = [name for name in CONFIGS if (self.path / name).is_file()]
        if not found:
            raise no_standalone(self.label, "there is no next.config", CONFIGS[1])
        body = (self.path / found[0]).read_text(encoding="utf-8", errors="replace")
        if "standalone" not in body and not _FROM_ELSEWHERE.search(body):
            raise no_standalone(self.label, f"{found[0]} does not ask for one", found[0])

    def inputs(self) -> tuple[str, ...]:
        """Every file below the root but what tools make; links count as files."""
        found: list[str] = []
        root = self.root
        for directory, below, names in os.walk(root):
            below[:] = [name for name in below if name not in SKIPPED_FOLDERS]
            links = [name for name in below if Path(directory, name).is_symlink()]  # walk takes them for folders
            keep = [name for name in (*names, *links) if name not in SKIPPED_FOLDERS]
            keep = [name for name in keep if not SKIPPED_FILES.fullmatch(name)]
            found += [Path(directory, name).relative_to(root).as_posix() for name in keep]
        return tuple(sorted(found))

    def own(self) -> tuple[str, ...]:
        """The inputs in the application's own folder, as paths below it."""
        prefix = f"{self.within}/" if self.within else ""
        return tuple(name.removeprefix(prefix) for name in self.inputs() if name.startswith(prefix))

    def pnpm(self, words: str) -> str:
        """A command for a person to type in the checkout."""
        return f"pnpm {words}" if self.folder == "." else f"pnpm --dir {self.folder} {words}"

    def typed(self, name: str) -> str:
        return name if self.folder == "." else f"{self.folder}/{name}"


def no_standalone(label: str, what: str, config: str) -> ConfigError:
    return ConfigError(f"{label}: no standalone server: {what}", f'set  output: "standalone"  in {config}')


def _mapping(manifest: dict[str, Any], key: str) -> dict[str, Any]:
    found = manifest.get(key)
    return found if isinstance(found, dict) else {}
