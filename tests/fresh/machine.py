"""What this machine knows of the registries, carried into a bare root when it is made: nothing of it is in the repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
CARRIED = re.compile(
    r"(?i)((http|https|ftp|all|no)_proxy|(pip|npm|npm_config)_\w+|\w*(ca_bundle|ca_certs|ssl_cert|cert_file|cert_dir)\w*)"
)
# apt's own defaults are the root's own matter; these say how its archives are reached
REACHING = re.compile(r"Acquire::(?!IndexTargets|Changelogs|Languages|CompressionTypes|cdrom|Send-URI|GzipIndexes)")
HOSTS = "127.0.0.1 localhost\n::1 localhost\n"


@dataclass(frozen=True)
class Source:
    """One suite of an apt archive, as `deb` lines name it."""

    uri: str
    suite: str
    components: tuple[str, ...]

    @property
    def line(self) -> str:
        return f"deb [signed-by={KEYRING}] {self.uri} {self.suite} {' '.join(self.components)}\n"


def read(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True).stdout


def codename(release: str) -> str:
    """This machine's own suite, from the body of its /etc/os-release."""
    found = re.search(r"^VERSION_CODENAME=\"?(\w+)", release, re.MULTILINE)
    return found.group(1) if found else "stable"


def sources(targets: str, own: str, suite: str) -> list[Source]:
    """The archives of Debian for ``suite``, from what this machine uses for its ``own``: updates and security included.

    ``targets`` has a line `creator|uri|release|component` for each index that apt would fetch.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for line in targets.splitlines():
        creator, uri, release, component = line.split("|")
        name, dash, rest = release.partition("-")
        if creator == "Packages" and name == own:
            parts = found.setdefault((uri, f"{suite}{dash}{rest}"), [])
            if component not in parts:
                parts.append(component)
    return [Source(uri, release, tuple(parts)) for (uri, release), parts in found.items()]


def environment(known: Mapping[str, str]) -> dict[str, str]:
    """The variables that say how a registry is reached."""
    return {name: value for name, value in known.items() if CARRIED.fullmatch(name)}


def apt_sources(suite: str) -> list[Source]:
    targets = read("apt-get", "indextargets", "--format", "$(CREATED_BY)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)")
    return sources(targets, codename(Path("/etc/os-release").read_text()), suite)


def apt_settings() -> str:
    """apt's settings for reaching its archives: proxies, certificates, checks."""
    lines = read("apt-config", "dump", "Acquire").splitlines()
    return "".join(f"{line}\n" for line in lines if REACHING.match(line) and not line.endswith(' "";'))


def existing(*files: str) -> list[Path]:
    return [path for file in files if (path := Path(file).expanduser()).is_file()]


def carry(root: Path, suite: str) -> None:
    """Make ``root`` reach the registries that this machine reaches."""
    (root / "etc/apt/sources.list").write_text("".join(source.line for source in apt_sources(suite)))
    (root / "etc/apt/apt.conf.d/99machine").write_text(apt_settings())
    for file in existing("/etc/apt/auth.conf", *map(str, Path("/etc/apt/auth.conf.d").glob("*"))):
        shutil.copy2(file, root / str(file).lstrip("/"))
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    (root / "etc/hosts").write_text(f"{HOSTS}127.0.0.1 {os.uname().nodename}\n")
    for file in Path("/usr/local/share/ca-certificates").rglob("*.crt"):
        shutil.copy(file, root / "usr/local/share/ca-certificates" / file.name)
    for file in existing("/etc/pip.conf"):
        shutil.copy(file, root / "etc/pip.conf")
    carry_home(root / "root")


def carry_home(home: Path) -> None:
    """The same for what an account has in its home, which it then owns."""
    npm = shutil.which("npm")
    shared = existing(read(npm, "config", "get", "globalconfig").strip()) if npm else []
    made = []
    for file in existing("~/.config/pip/pip.conf", "~/.pip/pip.conf")[:1]:
        (home / ".pip").mkdir(exist_ok=True)
        shutil.copy(file, home / ".pip/pip.conf")
        made += [home / ".pip", home / ".pip/pip.conf"]
    lines = "".join(file.read_text().rstrip() + "\n" for file in [*shared, *existing("~/.npmrc")])
    if lines:
        made.append(home / ".npmrc")
        made[-1].write_text(lines)
        made[-1].chmod(0o600)
    for path in made:
        os.chown(path, home.stat().st_uid, home.stat().st_gid)
