"""A bare Debian in a directory, in which commands run as on a machine of its own; nothing of it outlives the run.

The commands live in namespaces of their own (processes, mounts). Its first process reads from us: when we are gone,
killed or not, it ends, and the kernel ends all others and undoes the mounts. What stays of a killed run is the
directory, which the next run deletes. The network is the machine's: the registries have to be reached.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fresh import machine

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "adaf" / "fresh"
INCLUDED = ("ca-certificates", "git", "python3", "python3-pip")  # the README asks for these
WEEK = 7 * 86400  # a base older than this is made anew
ROOTS_PATH, USERS_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "/usr/local/bin:/usr/bin:/bin"
FIRST = r"""
set -e
root=$1
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 dev "$root/dev"
for node in null zero full random urandom tty; do : >"$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"; done
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t devpts -o newinstance,mode=620,ptmxmode=666,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"; ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"; ln -s fd/1 "$root/dev/stdout"; ln -s fd/2 "$root/dev/stderr"
exec chroot "$root" /bin/bash -c 'echo up; read -r'
"""


class BareError(Exception):
    """No bare root can be had: what is wrong, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class Account:
    """Whoever types the commands. ``home`` is a path inside the root."""

    name: str
    home: str


ROOT = Account("root", "/root")


def require() -> None:
    """Make sure that debootstrap is here. Raises BareError where there can be no bare root."""
    if os.geteuid() != 0:
        raise BareError("a bare root can only be made by root", "sudo ./ci/env nox -s fresh")
    if shutil.which("debootstrap") is None:
        words = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "debootstrap"]
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        if subprocess.run(words, env=env, capture_output=True).returncode:
            subprocess.run(["apt-get", "update", "-q"], capture_output=True)
            if subprocess.run(words, env=env, capture_output=True).returncode:
                raise BareError("debootstrap is missing and apt cannot install it", "apt-get install debootstrap")


def base(suite: str) -> Path:
    """A packed bare Debian with what the README asks for; made anew once a week. Raises BareError."""
    archives = machine.apt_sources(suite)
    if not archives:
        raise BareError(f"apt of this machine has no archive for {suite}", "run this on Debian 12 or 13")
    key = hashlib.sha256(repr((archives, INCLUDED)).encode()).hexdigest()[:12]
    packed = CACHE / f"{suite}-{key}.tar"
    if packed.exists() and time.time() - packed.stat().st_mtime < WEEK:
        return packed
    with directory() as root:
        words = ["debootstrap", "--variant=minbase", f"--include={','.join(INCLUDED)}", f"--keyring={machine.KEYRING}"]
        done = subprocess.run([*words, suite, str(root), archives[0].uri], capture_output=True, text=True)
        if done.returncode:
            raise BareError(f"debootstrap {suite} failed", (done.stdout + done.stderr)[-1500:])
        shutil.rmtree(root / "var/cache/apt/archives")
        (root / "var/cache/apt/archives/partial").mkdir(parents=True)
        new = packed.with_suffix(".new")
        subprocess.run(["tar", "--numeric-owner", "-cf", new, "-C", root, "."], check=True)
        for old in CACHE.glob(f"{suite}-*.tar"):
            old.unlink()
        new.rename(packed)
    return packed


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    """An empty directory below the cache, gone afterwards; those of runs that were killed go as well."""
    CACHE.mkdir(parents=True, exist_ok=True)
    for left in CACHE.glob("root.*.lock"):
        with contextlib.suppress(BlockingIOError, FileNotFoundError), left.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            delete(left.with_suffix(""))
            left.unlink(missing_ok=True)
    root = CACHE / f"root.{os.getpid()}-{time.monotonic_ns()}"
    with root.with_name(f"{root.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        root.mkdir(mode=0o755)
        try:
            yield root
        finally:
            delete(root)
            Path(lock.name).unlink()


def delete(root: Path) -> None:
    """Never through a mount: there is none outside the namespace, and where there is one, rm stops at it."""
    subprocess.run(["rm", "-rf", "--one-file-system", "--", root], check=True)


class Bare:
    """A running bare root."""

    def __init__(self, root: Path, first: int) -> None:
        self.root = root
        self.first = first  # its process 1, as this machine numbers it
        self.env = machine.environment(os.environ)

    def inside(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def argv(self, words: tuple[str, ...], who: Account, folder: str, env: Mapping[str, str]) -> list[str]:
        """nsenter with an environment that has nothing of ours but how registries are reached."""
        path = ROOTS_PATH if who == ROOT else USERS_PATH
        known = {
            **self.env,
            "TERM": "dumb",
            "PATH": path,
            "HOME": who.home,
            "USER": who.name,
            "LOGNAME": who.name,
            **env,
        }
        enter = ["nsenter", f"--target={self.first}", "--mount", "--pid", f"--root=/proc/{self.first}/root", "--"]
        drop = [] if who == ROOT else ["setpriv", f"--reuid={who.name}", f"--regid={who.name}", "--init-groups", "--"]
        return [*enter, "/usr/bin/env", "-i", "-C", folder, *(f"{k}={v}" for k, v in known.items()), *drop, *words]

    def run(
        self,
        *words: str,
        who: Account = ROOT,
        folder: str = "/",
        log: Path | None = None,
        seconds: float = 600,
        **env: str,
    ) -> subprocess.CompletedProcess[str]:
        """A command; what it prints is returned and, with ``log``, written there while it comes. Exit 124: too late."""
        out = log or self.root.with_name(f"{self.root.name}.out")
        err = out.with_name(f"{out.name}.err")
        argv = self.argv(words, who, folder, env)
        with out.open("w") as stdout, err.open("w") as stderr:
            child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True
            )
            try:
                code = child.wait(seconds)
            except BaseException as caught:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                if not isinstance(caught, subprocess.TimeoutExpired):
                    raise
                code = 124
        said = out.read_text(errors="replace"), err.read_text(errors="replace")
        if log is None:
            out.unlink()
            err.unlink()
        return subprocess.CompletedProcess(words, code, *said)

    def must(self, *words: str, **known: str) -> str:
        done = self.run(*words, **known)
        if done.returncode:
            raise BareError(f"{' '.join(words)}: exit {done.returncode}", (done.stdout + done.stderr)[-1500:])
        return done.stdout

    def processes(self) -> list[str]:
        """What runs in it besides its first process."""
        space, found = Path(f"/proc/{self.first}/ns/pid").readlink(), []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (process / "ns/pid").readlink() == space and int(process.name) != self.first:
                    found.append((process / "cmdline").read_text().replace("\0", " ") or (process / "comm").read_text())
        return found

    def person(self) -> Account:
        """A user whose home is its own, and who may use sudo without a password."""
        self.must("apt-get", "update", "-q")
        self.must("apt-get", "install", "-y", "-q", "--no-install-recommends", "sudo", DEBIAN_FRONTEND="noninteractive")
        self.must("sh", "-c", "rm -rf /var/lib/apt/lists/*")
        self.must("useradd", "--create-home", "--shell=/bin/bash", "person")
        self.must("chmod", "0700", "/home/person")
        machine.carry_home(self.inside("/home/person"))
        self.must("sh", "-c", "echo 'person ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/person")
        return Account("person", "/home/person")


def children(parent: int) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"\nPPid:\t{parent}\n" in (process / "status").read_text():
                found.append(int(process.name))
    return found


@contextlib.contextmanager
def bare(suite: str) -> Iterator[Bare]:
    """A bare root of that Debian, which reaches the registries that this machine reaches."""
    packed = base(suite)
    with directory() as root:
        subprocess.run(["tar", "--numeric-owner", "-xpf", packed, "-C", root], check=True)
        machine.carry(root, suite)
        keeper = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", FIRST, "first", root],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a Ctrl-C is ours to handle
        )
        assert keeper.stdin is not None and keeper.stdout is not None
        try:
            if keeper.stdout.readline() != "up\n":
                raise BareError("the bare root does not start", "it needs namespaces of its own: is this a container?")
            made = Bare(root, children(keeper.pid)[0])
            made.must("update-ca-certificates")
            yield made
        finally:
            keeper.stdin.close()  # its first process ends, and all others with it
            try:
                keeper.wait(30)
            except subprocess.TimeoutExpired:
                keeper.kill()
                keeper.wait()
            keeper.stdout.close()
