"""What an engine makes on its machine outside its directory, and how that is removed again: by name, nothing else."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from private_engine.errors import call

SETTINGS = tuple(
    f"/proc/sys/net/{name}"
    for name in ("ipv4/ip_forward", "bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables")
)
SHIMS = Path("/run/containerd/s")  # the same for every containerd, wherever its state is
SHARED = (
    *("/opt/containerd/bin", "/opt/containerd/lib", "/opt/containerd"),
    *(str(SHIMS), "/run/containerd", "/run/docker/plugins", "/run/docker"),
)
FIREWALLS = ("iptables", "ip6tables")
POOLS = ("172.30.0.0/16", "172.29.0.0/16", "10.213.0.0/16")  # dockerd leaves out what the machine has a route to
OURS = re.compile(r"\bDOCKER\b|\bDOCKER-|\bdocker0\b|\bbr-[0-9a-f]{12}\b|\b(172\.30|172\.29|10\.213)\.\d+\.\d+")
LINK = re.compile(r"docker0|br-[0-9a-f]{12}|veth[0-9a-f]{7}")


# --- processes -----------------------------------------------------------------------------------
def marked(mark: str) -> list[int]:
    """Processes with these bytes as a variable of their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


def grouped(group: str) -> list[int]:
    """Processes in the cgroup of that name or below, in any hierarchy."""
    found = set()
    for top in groups(group):
        for file in top.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                found |= {int(pid) for pid in file.read_text().split()}
    return sorted(found - {0})


def kill(pids: Sequence[int]) -> bool:
    """True when there were none: until then, ask who is there once more."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return not pids


# --- cgroups -------------------------------------------------------------------------------------
def groups(group: str) -> list[Path]:
    tops = (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*/"))
    return [top / group for top in tops if (top / group).is_dir()]


def ungroup(group: str) -> None:
    """Its processes have ended: a cgroup lets go of them a moment later."""
    for top in groups(group):
        for folder in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
            removed(folder)
        removed(top)


def removed(folder: Path, seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while folder.exists():
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
    return True


# --- mounts and files ----------------------------------------------------------------------------
def mounts(below: Path) -> list[str]:
    """Mount points at or below a directory, the last one made first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in reversed(points) if point == str(below) or point.startswith(f"{below}/")]


def unmount(points: Iterable[str]) -> None:
    for point in points:
        call("umount", "--lazy", point, check=False)


def unlisten() -> None:
    """Sockets of shims that were killed; another engine's are answered."""
    for path in SHIMS.glob("*"):
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
            try:
                client.connect(str(path))
            except ConnectionRefusedError:
                path.unlink(missing_ok=True)
            except OSError:
                continue


def shared() -> list[str]:
    return [folder for folder in SHARED if Path(folder).is_dir()]


def unshare(before: Iterable[str]) -> None:
    """Empty directories that were not there before."""
    for folder in SHARED:
        if folder not in before:
            with contextlib.suppress(OSError):
                Path(folder).rmdir()


# --- a network namespace -------------------------------------------------------------------------
def namespace() -> str:
    """The one that we are in: another one's bridges have the same names and are somebody else's."""
    return str(Path("/proc/self/ns/net").readlink())


def rules(inside: list[str], env: dict[str, str]) -> dict[str, list[str]]:
    """`TABLE RULE` lines as `iptables -S` would say them (policies -P, chains -N, rules -A), a list a firewall."""
    found = {}
    for firewall in FIREWALLS:
        table, lines = "", []
        for line in call(*inside, f"{firewall}-save", env=env, check=False).splitlines():
            if line.startswith("*"):
                table = line[1:]
            elif line.startswith(":"):
                chain, policy = line[1:].split()[:2]
                lines.append(f"{table} -N {chain}" if policy == "-" else f"{table} -P {chain} {policy}")
            elif line.startswith("-A"):
                lines.append(f"{table} {line}")
        found[firewall] = lines
    return found


def undone(before: list[str], now: list[str]) -> list[list[str]]:
    """Arguments of iptables that take away what an engine added: rules, then chains, and policies as they were."""
    new = [line for line in now if line not in before and (" -P " in line or OURS.search(line))]
    kinds: dict[str, list[list[str]]] = {"-A": [], "-F": [], "-N": [], "-P": []}
    for line in new:
        table, kind, chain, *rest = words(line)
        if kind == "-A" and not chain.startswith("DOCKER"):
            kinds["-A"].append(["-t", table, "-D", chain, *rest])
        elif kind == "-N":
            kinds["-F"].append(["-t", table, "-F", chain])
            kinds["-N"].append(["-t", table, "-X", chain])
        elif kind == "-P":
            old = [words(each)[3] for each in before if each.startswith(f"{table} -P {chain} ")] or ["ACCEPT"]
            if old != rest:
                kinds["-P"].append(["-t", table, "-P", chain, *old])
    return [argv for kind in kinds.values() for argv in kind]


def words(line: str) -> list[str]:
    return [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', line)]


def links(inside: list[str], env: dict[str, str]) -> list[str]:
    """Bridges of engines, and the ends of their containers' wires."""
    said = call(*inside, "ip", "-o", "link", env=env)
    names = [line.split(": ")[1].partition("@")[0] for line in said.splitlines()]
    return [name for name in names if LINK.fullmatch(name)]


def settings() -> dict[str, str]:
    return {name: Path(name).read_text().strip() for name in SETTINGS if Path(name).exists()}


def restore(before: dict[str, str]) -> None:
    for name, value in before.items():
        if Path(name).exists() and Path(name).read_text().strip() != value:
            Path(name).write_text(value)
