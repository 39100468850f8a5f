"""The layout of the directory.

secrets/            0700, of the stack's account
    .lock           one writer at a time
    NAME/1          0400, complete before it has this name
    NAME/value      -> 1; services open this path, a rotation swaps the link with one rename
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from adaf_files.handles import READ, Owner, entries, locked, made, opened, write_new
from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.process import Account

VALUE = "value"
_LARGEST = 65536
_MEND = "`inv doctor` says how to mend it"


class Store:
    """Secrets below ``root``. ``account``: the owner of what is made, when we are root."""

    def __init__(self, root: Path, account: Account | None) -> None:
        self.root = root
        self.owner = Owner(account.uid, account.gid) if account else Owner(os.geteuid(), os.getegid())

    def folders(self) -> list[str]:
        """Everything that could be a secret."""
        with self._root() as root:
            if root is None:
                return []
            return [entry.name for entry in entries(root) if entry.is_dir(follow_symlinks=False)]

    def current(self, name: str) -> int | None:
        """The version behind the stable path; None when there is no such secret."""
        with self._folder(name) as folder:
            return None if folder is None else self._version(folder, name)

    def read(self, name: str) -> str:
        """The current value. PreconditionError when somebody else could read or replace it."""
        with self._value(name) as handle:
            return os.read(handle, _LARGEST).decode()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One writer at a time; makes the directory when there is none."""
        self.root.parent.mkdir(parents=True, exist_ok=True)
        made(str(self.root), None, self.owner)
        with self._root() as root:
            assert root is not None
            with locked(root, self.owner):
                yield

    def add_first(self, name: str, generate: Callable[[], str]) -> bool:
        """Make version 1 unless there is a value; call it ``locked``. A run that was killed in here is taken up."""
        with self._root() as root:
            made(name, root, self.owner)
        with self._folder(name) as folder:
            assert folder is not None
            if self._version(folder, name) is not None:
                return False
            versions = [entry.name for entry in entries(folder) if entry.name.isdigit()]
            if versions not in ([], ["1"]):  # a database may know one of them: a guess would lock everybody out
                raise PreconditionError(
                    f"secret {name}: versions {', '.join(versions)}, but none is current",
                    f"choose one: ln -s {versions[-1]} {self.root / name / VALUE}",
                )
            with contextlib.suppress(FileNotFoundError):
                os.unlink(".new", dir_fd=folder)
            if not versions:
                write_new(".new", folder, generate(), self.owner)
                os.rename(".new", "1", src_dir_fd=folder, dst_dir_fd=folder)
            os.symlink("1", ".new", dir_fd=folder)
            os.rename(".new", VALUE, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
            return True

    def problems(self) -> Iterator[tuple[str, str]]:
        """What is wrong with owners and modes, and how to mend it."""
        with self._root(trusted=False) as root:
            if root is None:
                return
            yield from self._suspect(root, self.root)
            for name in [entry.name for entry in entries(root) if entry.is_dir(follow_symlinks=False)]:
                try:
                    with self._folder(name, trusted=False) as folder:
                        yield from self._suspect(folder, self.root / name)
                    with self._value(name, trusted=False) as value:
                        yield from self._suspect(value, self.root / name / VALUE)
                except PreconditionError as exc:
                    yield exc.message, exc.hint

    def _suspect(self, handle: int | None, where: Path) -> Iterator[tuple[str, str]]:
        if handle is None:
            return
        if os.fstat(handle).st_uid != self.owner.uid:
            name = pwd.getpwuid(self.owner.uid).pw_name
            yield f"{where}: belongs to uid {os.fstat(handle).st_uid}, not to {name}", f"chown {name} {where}"
        elif why := self.owner.trusts(handle):
            yield f"{where}: {why}", f"chmod go= {where}; rotate what others may have read"

    # ------------------------------------------------------------------------------------------- handles

    @contextlib.contextmanager
    def _root(self, *, trusted: bool = True) -> Iterator[int | None]:
        with opened(str(self.root), None, self.root) as handle:
            yield self._trusted(handle, self.root) if trusted else handle

    @contextlib.contextmanager
    def _folder(self, name: str, *, trusted: bool = True) -> Iterator[int | None]:
        with self._root(trusted=trusted) as root:
            if root is None:
                yield None
                return
            with opened(name, root, self.root / name) as handle:
                yield self._trusted(handle, self.root / name) if trusted else handle

    @contextlib.contextmanager
    def _value(self, name: str, *, trusted: bool = True) -> Iterator[int]:
        where = self.root / name / VALUE
        with self._folder(name, trusted=trusted) as folder:
            version = None if folder is None else self._version(folder, name)
            if version is None:
                raise PreconditionError(f"secret {name}: there is none yet", "`inv up` generates what is missing")
            with opened(str(version), folder, where, READ) as handle:
                if handle is None:
                    raise PreconditionError(f"{where}: its version {version} is gone", "restore that file")
                if trusted:
                    self._trusted(handle, where)
                yield handle

    def _trusted(self, handle: int | None, where: Path) -> int | None:
        if handle is not None and (why := self.owner.trusts(handle)):
            raise PreconditionError(f"{where}: not trusted, it {why}", _MEND)
        return handle

    def _version(self, folder: int, name: str) -> int | None:
        try:
            link = os.readlink(VALUE, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError:
            link = ""  # a file in the place of our link
        if not re.fullmatch(r"[1-9][0-9]{0,8}", link):
            raise PreconditionError(
                f"{self.root / name / VALUE}: not a link to one of its versions",
                "somebody changed it: look who, then link it to the newest version",
            )
        return int(link)
