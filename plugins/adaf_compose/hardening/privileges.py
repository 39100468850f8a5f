"""Rules about what a process may do: who it is, what it may write, what the kernel lets it ask for."""

from __future__ import annotations

import re

from adaf_compose.hardening.rules import Case, listed, rule

MEMORY_OPTIONS = frozenset({"noexec", "nosuid", "nodev"})
UNDONE = frozenset(option.removeprefix("no") for option in MEMORY_OPTIONS)  # the later one of two counts
ENGINES = frozenset({"no-new-privileges=true", "no-new-privileges=false", "seccomp=builtin", "apparmor=docker-default"})
_ENDLESS = re.compile(r"size=0+[a-z%]?", re.IGNORECASE)


@rule("H01", "a numeric user and group, not root's, and no further ones", 'user: "10001:10001"; no group_add')
def user(case: Case) -> str:
    found = re.fullmatch(r"(\d+):(\d+)", case.posture.user)
    if not found:
        return f'user is "{case.posture.user}"' if case.posture.user else "no user: the image's, or root"
    if not int(found[1]) or not int(found[2]):
        return f"user {case.posture.user} is root, or in root's group"
    return f"further groups: {listed(case.posture.groups)}" if case.posture.groups else ""


@rule("H02", "a root file system that is read-only", "read_only: true; what it writes is a volume of its Service")
def read_only(case: Case) -> str:
    return "" if case.posture.read_only or case.service.hardening.writable else "its root file system can be written"


@rule(
    "H03",
    "file systems in memory are noexec, nosuid, nodev and have a size",
    "tmpfs: [/tmp:noexec,nosuid,nodev,size=64m]",
)
def in_memory(case: Case) -> str:
    for target, options in sorted(case.posture.in_memory.items()):
        missing = MEMORY_OPTIONS - options
        if not any(said.startswith("size=") and not _ENDLESS.fullmatch(said) for said in options):
            missing |= {"size"}
        if missing:
            return f"{target} without {listed(missing)}"
        if UNDONE & options:
            return f"{target} with {listed(UNDONE & options)}"
    return ""


@rule("H04", "every capability dropped", "cap_drop: [ALL]")
def dropped(case: Case) -> str:
    return "" if "ALL" in case.posture.dropped else f"dropped: {listed(case.posture.dropped) or 'none'}"


@rule("H05", "no capability added but those its Service names with a reason", "Service.hardening.capabilities, or none")
def added(case: Case) -> str:
    more = case.posture.added - case.service.hardening.capabilities.keys()
    return f"added: {listed(more)}" if more else ""


@rule("H06", "no new privileges", "security_opt: [no-new-privileges=true]")
def no_new_privileges(case: Case) -> str:
    said = {option for option in case.posture.options if option.startswith("no-new-privileges=")}
    return "" if said == {"no-new-privileges=true"} else "a setuid program would make it root"


@rule(
    "H07",
    "the profiles of seccomp and AppArmor, and the masked paths, as the engine has them",
    "take the security_opt away",
)
def confined(case: Case) -> str:
    return listed({_told(said) for said in case.posture.options - ENGINES})


def _told(said: str) -> str:
    """A profile that somebody wrote may be a whole document, and allow everything."""
    name, _, value = said.partition("=")
    return said if value in ("unconfined", "disable") else f"{name} of its own"


@rule("H16", "neither privileged, nor in a namespace of the host, nor with a device", "take it away")
def within(case: Case) -> str:
    return listed(case.posture.beyond)
