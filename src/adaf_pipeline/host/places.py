"""Where a local stack lives: below /var/lib/adaf as root, else below the XDG state directory; never in the checkout,
which may lie below a home that the stack's account cannot enter."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import re
import shutil
from pathlib import Path

from adaf_pipeline.errors import PreconditionError, ServiceError
from adaf_pipeline.host import checkouts
from adaf_pipeline.process import Account, find_account, run

ACCOUNT = "adaf"
ROOT_STATE = Path("/var/lib/adaf")
SHARED = ("tools", "blocks")  # beside the stacks, and of all of them
STARTED = ("s6", "docker-compose.prod.yml")  # what a runtime makes at its first start, and keeps
PLAIN = set(" ._-+@~/")  # besides letters and digits: what no server's configuration file takes for syntax


def state_root(uid: int, home: Path) -> Path:
    """The folder of all stacks of one user."""
    if uid == 0:
        return ROOT_STATE
    given = os.environ.get("XDG_STATE_HOME", "") if uid == os.geteuid() else ""
    if not given.startswith("/"):  # the specification: a relative one is to be ignored
        given = ""
    return (Path(given) if given else home / ".local" / "state") / "adaf"


def is_taken(name: str) -> bool:
    """Whether a stack of this name would have its directory where something else has its place."""
    return name in SHARED or re.fullmatch("local-[0-9a-f]{10}", name) is not None


def stack_id(name: str, checkout: Path) -> str:
    """A stack that is named ``local`` belongs to its checkout; any other has its name alone."""
    if name != "local":
        return name
    return f"local-{hashlib.sha256(os.fsencode(checkout)).hexdigest()[:10]}"


def stack_state(name: str, checkout: Path) -> Path:
    """This stack's directory, made. PreconditionError when the checkout's stack already belongs to somebody else."""
    uid = os.geteuid()
    identity = stack_id(name, checkout)
    mine = state_root(uid, Path.home()) / identity
    odd = sorted({c for c in str(mine) if c not in PLAIN and not (c.isalnum() if c.isascii() else c.isprintable())})
    if odd:
        raise PreconditionError(
            f"{str(mine)!r}: servers cannot be told of a path with {' '.join(repr(c)[1:-1] for c in odd)}", _ELSEWHERE
        )
    try:
        news = False
        if name == "local":
            mine, news = checkouts.find(mine, checkout, used)
        if not used(mine):
            _nobody_elses(identity, uid, checkout)
        if news or not mine.exists():
            make(mine, None)
            checkouts.note(mine, checkout, write)
    except OSError as exc:
        raise PreconditionError(f"{mine}: cannot be used: {exc.strerror}", _ELSEWHERE) from exc
    return mine


_ELSEWHERE = "set XDG_STATE_HOME to a folder of yours with a plain name"


def used(state: Path) -> bool:
    """Whether something was ever started there: looking (`inv status`) also makes a directory, and claims nothing."""
    return any((state / name).exists() for name in STARTED)


def _nobody_elses(identity: str, uid: int, checkout: Path) -> None:
    for other, who in _others(uid, checkout):
        theirs = other / identity
        with contextlib.suppress(OSError):
            if used(theirs):
                raise PreconditionError(
                    f"the stack of this checkout belongs to {who} ({theirs})",
                    f"go on as {who}, or let {who} run `inv down --purge` first",
                )


def _others(uid: int, checkout: Path) -> list[tuple[Path, str]]:
    if uid != 0:
        return [(ROOT_STATE, "root")]
    owners = {checkout.stat().st_uid, int(os.environ.get("SUDO_UID", "0"))} - {0}
    found = []
    for owner in owners:
        with contextlib.suppress(KeyError):
            record = pwd.getpwuid(owner)
            found.append((state_root(owner, Path(record.pw_dir)), record.pw_name))
    return found


def account() -> Account | None:
    """The account everything runs as: a system user of its own when we are root, else ourselves (None)."""
    if os.geteuid() != 0:
        return None
    known = find_account(ACCOUNT)
    if known is None:
        run(["/usr/sbin/useradd", "--system", "--home-dir", str(ROOT_STATE), "--shell", "/usr/sbin/nologin", ACCOUNT])
        known = find_account(ACCOUNT)
    if known is None:
        raise PreconditionError(f"the system account {ACCOUNT} could not be made", f"useradd --system {ACCOUNT}")
    return known


def make(path: Path, owner: Account | None, mode: int = 0o755) -> Path:
    """A directory of that owner and mode, its parents root's own."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    if owner is not None:
        os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
    return path


def write(path: Path, body: str, owner: Account | None = None, mode: int = 0o444) -> bool:
    """Write a file atomically; False when it already says exactly that."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if not path.is_symlink() and path.read_text() == body and path.stat().st_mode & 0o777 == mode:
            return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with open(handle, "w", encoding="utf-8") as sink:
        sink.write(body)
        os.fchmod(sink.fileno(), mode)
        if owner is not None:
            os.fchown(sink.fileno(), owner.uid, owner.gid)
        sink.flush()
        os.fsync(sink.fileno())
    temporary.replace(path)
    return True


def remove(path: Path) -> None:
    """A tree, whatever is in it; a link is removed, not followed."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)


def purge(state: Path, last: str) -> None:
    """Delete a stack's directory; the file ``last`` (its lock) goes last: whoever comes while a big database is deleted
    must not begin in what is left of it. ServiceError when something stays."""
    if not state.exists():  # purged before
        return
    for path in [path for path in state.iterdir() if path.name != last]:
        remove(path)
    stays = sorted(path.name for path in state.iterdir() if path.name != last)
    if stays:
        raise ServiceError(f"{state / stays[0]}: cannot be deleted", "look at it, then `inv down --purge` again")
    shutil.rmtree(state, ignore_errors=True)
