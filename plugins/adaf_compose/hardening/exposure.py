"""Rules about what a container reaches, who reaches it, and what it can read."""

from __future__ import annotations

import re
from pathlib import PurePath

from adaf_compose import networks, users
from adaf_compose.hardening.rules import Case, listed, rule
from adaf_compose.images import OWNER
from adaf_compose.peers import SECRETS, volume

WILDCARDS = ("", "0.0.0.0", "::")
ENGINES = ("docker.sock", "containerd.sock", "podman.sock", "buildkitd.sock", "crio.sock")
SYSTEM = ("/boot", "/dev", "/etc", "/home", "/proc", "/root", "/run", "/sys", "/usr", "/var/lib/docker", "/var/run")
SHORTEST = 8  # of a value that is looked for: shorter ones are found everywhere
_TELLING = re.compile(r"(?i)(pass(wd|word|phrase)?|pwd|auth|secret|token|credentials?|(api|private|access)_?key)(_|$)")
_URL = re.compile(r"\b[\w+.-]+://[^/\s:@]*:[^/\s@]+@")


@rule(
    "H17", "on internal networks, and only on those its Service asks for", "networks: of its tiers; `egress:` leads out"
)
def joined(case: Case) -> str:
    for network in case.posture.networks:
        if network.name not in case.tiers:
            return f"is on the network {network.name}"
        if not network.internal and not networks.leads_out(network.name):
            return f"the network {network.name} is not internal"
    return ""


@rule(
    "H18", "only what is for visitors is published, on a stated address", "runtime: address: names one; no other ports:"
)
def published(case: Case) -> str:
    for port in case.posture.published:
        if port.target not in case.public:
            return f"publishes port {port.target}" if port.target else "publishes every port of its image"
        if port.address in WILDCARDS:
            return f"port {port.target} is published on every address of the host"
        if port.address != case.settings.address:
            return f"port {port.target} is published on {port.address}, not on {case.settings.address}"
    return ""


@rule("H19", "neither the engine's socket nor a part of the system mounted", "take the mount away")
def system(case: Case) -> str:
    for mount in case.posture.mounts:
        source = PurePath(mount.source)
        if mount.kind != "bind" or case.state in source.parents:
            continue
        if source.name in ENGINES:
            return f"{source} gives it the host"
        if str(source) == "/" or any(PurePath(place) in (source, *source.parents) for place in SYSTEM):
            return f"{source} is the host's"
        if case.state == source or source in case.state.parents:
            return f"{source} holds the whole stack"
    return ""


@rule(
    "H20",
    "mounts are its own directories of the stack: no single file, no volume without an owner",
    "a volume of its Service; inv up, where it was started by hand from elsewhere",
)
def owned(case: Case) -> str:
    for mount in case.posture.mounts:
        source = PurePath(mount.source)
        if mount.kind != "bind":
            return f"{mount.target} is a {mount.kind} of the engine's"
        if ".." in source.parts or case.state not in source.parents:
            return f"{source} is not below {case.state}"
        if mount.file:
            return f"{mount.target} is a single file: it stays the old one when a new one is written"
        if mount.source not in case.mounts:
            return f"{source} is none of its own"
        if "shared" in mount.propagation or "slave" in mount.propagation:
            return f"{mount.target} passes mounts on ({mount.propagation})"
    return ""


@rule("H21", "read-only, what is not its own volume", "read_only: true")
def others(case: Case) -> str:
    own = {volume(case.service, each.name) for each in case.service.volumes}
    return listed([m.target for m in case.posture.mounts if not m.read_only and m.target not in own])


@rule(
    "H22",
    "secrets are 0400 files of its own user, in a directory",
    "inv up delivers them; Compose ignores uid and mode",
)
def delivered(case: Case) -> str:
    if case.posture.file_secrets:
        return f"secrets or configs of Compose: {listed(case.posture.file_secrets)}"
    single = [m.target for m in case.posture.mounts if m.target.startswith(f"{SECRETS}/")]
    if single:
        return f"{single[0]} is mounted alone"
    for found in case.posture.delivered:
        allowed = 0o500 if found.name == "." else 0o400
        if found.owner != users.uid(case.service.role):
            return f"{SECRETS}/{found.name} belongs to {found.owner}, not to {users.uid(case.service.role)}"
        if found.mode & ~allowed:
            return f"{SECRETS}/{found.name} has the mode {found.mode:04o}"
    return ""


@rule(
    "H23",
    "no secret in its environment, command, health check or labels",
    "a secret of its Service is a file in /run/secrets",
)
def told(case: Case) -> str:
    found = case.posture
    for name, value in sorted(found.environment.items()):
        if _TELLING.search(name) and value and not value.startswith("/"):  # a path tells nothing
            return f"{name} is in its environment"
        if _given_away(value, case.secrets):
            return f"the value of {name} is or has a secret"
    return (
        "its command, health check or a label has a secret"
        if any(_given_away(w, case.secrets) for w in found.words)
        else ""
    )


@rule(
    "H24", "an image that was made here, or one named by digest", "image: NAME@sha256:...; pull_policy: never for ours"
)
def image(case: Case) -> str:
    found = case.posture.image
    if "@sha256:" in found:
        return ""
    ours = found.startswith(f"{OWNER}/") and ":" in found and not found.endswith(":latest")
    if not ours:
        return f"{found or 'no image'} may be another one tomorrow"
    return f"a registry may be asked for {found}" if case.posture.fetched else ""


def _given_away(said: str, secrets: frozenset[str]) -> bool:
    return bool(_URL.search(said)) or any(len(value) >= SHORTEST and value in said for value in secrets)
