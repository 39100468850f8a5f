"""The rules of hardening, of the plan and of what runs: a table, and what is broken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.event import Json
from adaf_pipeline.roles import Checked, StackView

Document = dict[str, Any]


def security(stack: StackView) -> Document:
    """``rules``: how often each holds; ``broken``: each check that failed, the waived ones too. ``ok``: no other did.

    PreconditionError where the runtime has no rules.
    """
    found = tuple(stack.runtime.security())
    if not found:
        use = stack.config.roles["runtime"].use
        raise PreconditionError(
            f"runtime: {use}: has no rules of hardening",
            "a runtime of containers has: inv doctor --security --stack prod",
        )
    rules = {each.rule: each.title for each in found}
    made: list[Mapping[str, Json]] = [
        {"rule": rule, "title": rules[rule], "plan": _count(found, rule, "plan"), "live": _count(found, rule, "live")}
        for rule in sorted(rules)
    ]
    broken = [
        {
            "rule": each.rule,
            "service": each.subject,
            "where": each.where,
            "found": each.found,
            "hint": each.hint,
            "waived": each.waived,
        }
        for each in found
        if not each.ok
    ]
    return {"ok": all(each["waived"] for each in broken), "rules": made, "broken": broken}


def _count(found: Iterable[Checked], rule: str, where: Literal["plan", "live"]) -> dict[str, Json]:
    ours = [each.ok for each in found if each.rule == rule and each.where == where]
    return {"passed": sum(ours), "checked": len(ours)}


def lines(document: Document) -> list[str]:
    """For a terminal: the table, then what is broken with its way out, then the sum."""
    made = ["rule    plan    live"]
    for row in document["rules"]:
        plan, live = (f"{row[key]['passed']}/{row[key]['checked']}" for key in ("plan", "live"))
        made.append(f"{row['rule']}  {plan:>6}  {live if row['live']['checked'] else '-':>6}  {row['title']}")
    for each in document["broken"]:
        told = f"{each['rule']} {each['service'] or 'the stack'} {each['where']}: {each['found']}"
        made.append(f"waived  {told}: {each['waived']}" if each["waived"] else f"NO  {told}   -> {each['hint']}")
    return [*made, _sum(document)]


def _sum(document: Document) -> str:
    open_ = [each for each in document["broken"] if not each["waived"]]
    parts = []
    for where in ("plan", "live"):
        passed, checked = (sum(row[where][key] for row in document["rules"]) for key in ("passed", "checked"))
        parts.append(f"{where} {passed} of {checked}" if checked else f"{where}: nothing runs")
    waived = len(document["broken"]) - len(open_)
    found = f"{len(open_)} broken" if open_ else "no rule is broken"
    return f"{found}{f', {waived} waived' if waived else ''}; checks that passed: {', '.join(parts)}"
