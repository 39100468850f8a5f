"""What a rule is: an id, what it wants, and a pure function that says what is wrong with one container."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePath

from adaf_compose.hardening.posture import Posture
from adaf_compose.settings import Settings
from adaf_pipeline.service import Service


@dataclass(frozen=True, slots=True)
class Case:
    """One container, and what it may be. ``service``: as declared; a bare one where nobody declared it."""

    posture: Posture
    service: Service
    settings: Settings
    state: PurePath  # the stack's directory
    tiers: frozenset[str] = frozenset()  # the networks that its Service asks for
    public: frozenset[int] = frozenset()  # the ports that it listens on for visitors
    mounts: frozenset[str] = frozenset()  # the directories that its entry of the file mounts
    secrets: frozenset[str] = field(default_factory=frozenset, repr=False)  # values

    @property
    def declared(self) -> bool:
        return bool(self.service.id)


Check = Callable[[Case], str]


@dataclass(frozen=True, slots=True)
class Rule:
    """``check`` returns "" where the rule holds, else what was found."""

    id: str
    title: str
    hint: str
    check: Check


RULES: dict[str, Rule] = {}


def rule(identity: str, title: str, hint: str) -> Callable[[Check], Check]:
    """Make a check a rule. ``hint``: what to write in the file, or where else to mend it."""

    def make(check: Check) -> Check:
        assert identity not in RULES
        RULES[identity] = Rule(identity, title, hint, check)
        return check

    return make


def listed(names: object) -> str:
    return ", ".join(sorted(map(str, names))) if isinstance(names, (set, frozenset, list, tuple)) else str(names)
