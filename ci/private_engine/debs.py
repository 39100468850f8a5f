"""Debian packages, downloaded with the archives of this machine's apt and unpacked; apt's own lists stay as they are."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from private_engine.errors import EngineError, call

SUITE = "trixie"  # its engine runs on Debian 12 too, and its docker-compose is v2 (Debian 12's is v1)
ENGINE = ("docker.io", "docker-cli", "containerd", "docker-compose", "docker-buildx", "tini")
NEEDED = {  # what the machine may have; else from its own release, whose libc they are made for
    "runc": ("runc",),
    "iptables": (
        "iptables",
        "libip4tc2",
        "libip6tc2",
        "libxtables12",
        "libnftnl11",
        "libnetfilter-conntrack3",
        "libnfnetlink0",
        "libmnl0",
    ),
    "ip": ("iproute2", "libbpf1", "libelf1", "libmnl0"),
}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
INDEX = "$(CREATED_BY)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)"


def unpack(place: Path, path: str) -> None:
    """Everything into ``place/root``, once. ``path`` is where programs of the machine are looked for. Raises EngineError."""
    done, debs, root = place / "unpacked", place / "debs", place / "root"
    if done.exists():
        return
    for left in (root, debs):
        shutil.rmtree(left, ignore_errors=True)
    lacking = [program for program in NEEDED if shutil.which(program, path=path) is None]
    own = codename(Path("/etc/os-release").read_text())
    download(place / "apt", own, SUITE, ENGINE, debs)
    if lacking:
        download(place / "apt", own, own, sorted({name for each in lacking for name in NEEDED[each]}), debs)
    for deb in sorted(debs.glob("*.deb")):
        call("dpkg-deb", "-x", str(deb), str(root))
    if "iptables" in lacking:  # alternatives, which an installed package would have made
        for name in ("iptables", "iptables-save", "ip6tables", "ip6tables-save"):
            (root / "usr/sbin" / name).unlink(missing_ok=True)
            (root / "usr/sbin" / name).symlink_to("xtables-nft-multi")
    shutil.rmtree(debs)
    done.touch()


def download(private: Path, own: str, suite: str, names: Iterable[str], into: Path) -> None:
    """``names`` of ``suite`` into a directory, with lists below ``private``, which is gone afterwards."""
    targets = call("apt-get", "indextargets", "--format", INDEX)
    lines = sources(targets, own, suite)
    if not lines:
        hint = "on Debian 12 or 13 there is one; elsewhere start an engine and say DOCKER_HOST"
        raise EngineError(f"apt of this machine has no archive for {suite}", hint)
    for folder in (*(private / f for f in ("lists/partial", "cache/archives/partial", "sources", "none")), into):
        folder.mkdir(parents=True, exist_ok=True)
    (private / "sources/engine.list").write_text("".join(lines))
    settings = {
        "Dir::State::lists": private / "lists",
        "Dir::Cache": private / "cache",
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": private / "sources",
        "Dir::Etc::preferencesparts": private / "none",
        "APT::Sandbox::User": "root",  # _apt may not enter a directory of root's
    }
    (private / "apt.conf").write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()))
    env = {**os.environ, "APT_CONFIG": str(private / "apt.conf")}
    call("apt-get", "-qq", "update", env=env)
    call("sh", "-c", 'cd "$1" && shift && exec apt-get -qq download "$@"', "sh", str(into), *names, env=env)
    shutil.rmtree(private)


def codename(release: str) -> str:
    """This machine's own suite, from the body of its /etc/os-release."""
    found = re.search(r"^VERSION_CODENAME=\"?(\w+)", release, re.MULTILINE)
    return found.group(1) if found else "stable"


def sources(targets: str, own: str, suite: str) -> list[str]:
    """`deb` lines of ``suite`` for the archives that serve ``own``, updates and security included.

    ``targets`` has a line `creator|uri|release|component` for each index that apt would fetch.
    """
    lines = set()
    for line in targets.splitlines():
        creator, uri, release, component = line.split("|")
        name, dash, rest = release.partition("-")
        if creator == "Packages" and name == own:
            lines.add(f"deb [signed-by={KEYRING}] {uri} {suite}{dash}{rest} {component}\n")
    return sorted(lines)
