"""All rules on all containers, and the waivers of those that fail."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

# imported for the rules that they make
from adaf_compose.hardening import exposure, limits, privileges  # noqa: F401
from adaf_compose.hardening.rules import RULES, Case
from adaf_compose.settings import Waiver
from adaf_pipeline.roles import Checked


def checked(cases: Iterable[Case], waivers: Sequence[Waiver], today: datetime.date) -> Iterator[Checked]:
    """Each rule on each case, by rule. After them H00: a waiver that names nothing is a slip of the pen."""
    cases = list(cases)
    for identity, rule in sorted(RULES.items()):
        for case in cases:
            found = rule.check(case)
            where = case.posture
            made = Checked(identity, rule.title, where.subject, where.where, not found, found, rule.hint)
            yield made if made.ok else _waived(made, case, waivers, today)
    names = {name for case in cases for name in (case.posture.subject, case.service.role)}
    for waiver in waivers:
        found = ""
        if waiver.rule not in RULES:
            found = f"{waiver.rule} is no rule"
        elif waiver.service and waiver.service not in names:
            found = f"{waiver.service} is neither a service nor a role of this stack"
        yield Checked("H00", _TITLE, waiver.service, "plan", not found, found, "waivers: of runtime: in adaf.yaml")


_TITLE = "waivers name a rule and a service that there are"


def _waived(made: Checked, case: Case, waivers: Sequence[Waiver], today: datetime.date) -> Checked:
    """``ok`` stays False; the latest waiver that still counts is named, or that one has expired."""
    for waiver in sorted(waivers, key=lambda w: w.until, reverse=True):
        if waiver.rule == made.rule and waiver.service in ("", made.subject, case.service.role):
            if waiver.until >= today:
                return replace(made, waived=f"{waiver.reason} (until {waiver.until})")
            return replace(made, found=f"{made.found}; its waiver ended on {waiver.until}")
    return made
