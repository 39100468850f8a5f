"""The canary's verdict: does it fail more visitors than the stable colour, or more than an absolute limit?

**The data are asked one question: which colour did each failure come from?** If the canary is `ratio` times as bad as
stable, a failure is the canary's with probability q = w*ratio / (w*ratio + 1 - w), where w is the canary's share of the
visitors exposed in that window: counted, not configured. Failures are a coin of known bias. Alternatives have R times
its odds: q' = qR / (qR + 1 - q). Under them k canary and m stable failures in a window are (q'/q)^k ((1-q')/(1-q))^m
times as likely; multiplied over the windows and averaged over RATIOS, that is an e-value: the evidence.

*Why it holds*: n canary and n' stable visitors who fail with probabilities p <= ratio*p', whatever these are, give a
factor whose mean is at most exp(np(q'/q - 1) + n'p'((1-q')/(1-q) - 1)) <= 1. Both may jump from window to window: a
burst that hits both colours does no harm. By Ville's inequality the evidence ever exceeds T with probability <= 1/T,
however often one looks. (Robbins 1970; Turner, Ly, Grünwald, "Generic E-variables for exact sequential k-sample tests",
2021; Ramdas, Grünwald, Vovk, Shafer, "Game-theoretic statistics and safe anytime-valid inference", 2023.)
*Good at first, bad later*: after each window a little of every R's part is spread evenly again, which leaves the sum as
it is ("fixed share", Herbster, Warmuth 1998), and R = 1 keeps what it has. Without that, a burst or an hour next to a
stable colour with failures weighs so much that a canary which breaks afterwards is not seen.

*Unit*: a visitor's first failure in this deploy; exposed is who has not failed yet. One client that always fails is one
failure. *Window*: one call of `add`, about a second of the log (shorter wastes evidence, but invents none). A late line
counts where it arrives: sorted by its own time, a hanging canary's timeouts would stand in windows of their own, with
nothing to compare. Shares only rise, so a late failure meets a w that is too high for it, which is the safe side. A
window that saw only one colour contributes 1.

*Alone* (a first release, or the bake, when the canary has all traffic) the coin is another: does an exposed visitor
fail? Its bias is the `absolute` limit, or `ratio` times stable's rate in this deploy if that is higher: the bake must
not refuse what the steps allowed. Same formula, same evidence, so one may look at any time and the risk stays 1/T, as
it would not with a confidence bound. `step` says when the bake begins: a window that missed stable by chance is not it,
or a burst could fail the canary. With the later verdict on latency, T = 200 each makes 1 % in all.

*A pass is evidence too*: an upper bound (Clopper-Pearson, one-sided; meant for few looks, at the ends of steps) on the
canary's share of failed visitors, over the deploy or over the bake, below the limit. Windows in which stable was above
the limit itself are left out: they say nothing about the canary, and which these are does not depend on it. Or, when
stable is always like that: 1/(1-confidence) = 20 : 1 for "as good as stable" against "`ratio` times as bad", by the
first coin. Never a pass: lines are missing; nobody reached the canary in this step (is the log still read?); or the
evidence against it is 20 : 1 or more, however low its rate: no rollback yet, but no success to be claimed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from adaf_pipeline.roles import Served

RATIOS = (1, 2, 3, 5, 10, 20, 50, 100, 300, 1000)
PATIENCE = 100  # windows; 1/(PATIENCE + windows so far) is spread again after each


@dataclass(frozen=True, slots=True)
class Limits:
    absolute: float = 0.05  # share of the visitors who may fail, whatever stable does
    ratio: float = 1.25  # the canary may be that much worse than stable
    threshold: float = 200.0  # evidence, as odds, above which it fails; 1/threshold is the risk of a false alarm
    confidence: float = 0.95  # of the bound that a pass rests on


@dataclass(frozen=True, slots=True)
class Counts:
    visitors: int
    failed: int


@dataclass(frozen=True, slots=True)
class Judgement:
    outcome: Literal["pass", "fail", "not enough data"]
    reason: str
    canary: Counts  # of the whole deploy; in the bake, of the bake
    stable: Counts | None
    evidence: float  # e-value, at most 1e300: odds against the canary being good enough
    bound: float  # upper bound on the share of visitors whom the canary fails in calm windows


class Evidence:
    """What the log says about one deploy; it adds up over the canary's steps."""

    def __init__(self, canary: str, stable: str | None, limits: Limits) -> None:
        self._names, self._limits = (canary, stable), limits
        self._canary, self._stable = _Tally(), _Tally()
        self._judged = _Tally()  # the canary in calm windows; in the bake, the bake's
        self._alone, self._limit = stable is None, limits.absolute
        self._since, self._reached = -math.inf, False
        self._failed: set[str] = set()
        self._parts, self._as_good = [-math.log(len(RATIOS))] * len(RATIOS), 0.0  # logarithms
        self._bets = self._lost = 0
        self._storms = False  # some windows were not calm

    def step(self, since: float, *, alone: bool = False) -> None:
        """A new share took effect at `since`: a pass needs visitors from then on. `alone`: it is all of the traffic."""
        self._since, self._reached = since, False
        if alone and not self._alone:
            self._alone, self._judged, self._storms = True, _Tally(), False
            rate = self._stable.failed / max(1, len(self._stable.visitors))
            self._limit = min(max(self._limits.absolute, self._limits.ratio * rate), 0.99)

    def add(self, served: Iterable[Served]) -> None:
        """One window, about a second of the log."""
        canary, stable = self._names
        exposed: dict[str | None, set[str]] = {canary: set(), stable: set()}
        fresh: set[str] = set()
        first: dict[str, tuple[float, str]] = {}
        for line in served:
            if line.visitor in self._failed or line.colour not in exposed:
                continue
            exposed[line.colour].add(line.visitor)
            if line.colour == canary and line.at >= self._since:
                fresh.add(line.visitor)
            if line.failed:
                first[line.visitor] = min(first.get(line.visitor, (math.inf, "")), (line.at, line.colour))
        self._failed.update(first)
        self._reached = self._reached or bool(fresh)
        ours, theirs = exposed[canary], exposed[stable]
        failed = [at for at, colour in first.values() if colour == canary]
        m = len(first) - len(failed)
        calm = m <= self._limits.absolute * len(theirs)
        if self._alone and not calm:  # the tail of what hit both colours before: only what began in the bake
            ours, failed = fresh, [at for at in failed if at >= self._since]
        k, n, ratio = len(failed), len(ours), self._limits.ratio
        self._stable.add(theirs, m)
        if not self._alone:
            self._canary.add(ours, k)
        if self._alone or calm:
            self._judged.add(ours, k)
        elif ours:
            self._storms = True
        if self._alone and ours:
            self._bet(self._limit, k, n - k)
        elif first and ours and theirs:
            q = n * ratio / (n * ratio + len(theirs))
            self._bet(q, k, m)
            self._as_good += _log_likelihood_ratio(1 / ratio, q, k, m)

    def _bet(self, q: float, heads: int, tails: int) -> None:
        parts = [part + _log_likelihood_ratio(r, q, heads, tails) for part, r in zip(self._parts, RATIOS, strict=True)]
        self._bets += 1
        share, total = 1 / (PATIENCE + self._bets), _log_sum(parts)
        even = math.log(share / len(RATIOS)) + total
        self._parts = [_log_sum([math.log(1 - share) + part, even]) for part in parts]

    def lost(self, lines: int) -> None:
        """So many lines of the log are known to be missing by now."""
        self._lost = max(self._lost, lines)

    def judge(self) -> Judgement:
        limits, (name, stable) = self._limits, self._names
        judged, theirs = self._judged.counts(), None if stable is None else self._stable.counts()
        evidence, as_good = _odds(_log_sum(self._parts)), _odds(self._as_good)
        bound = upper_bound(judged.failed, judged.visitors, limits.confidence)
        doubt = 1 / (1 - limits.confidence)
        canary = judged if self._alone else self._canary.counts()
        counts, worse = (
            f"{name} failed {_of(canary)} visitors",
            f"{name} being no worse than {limits.ratio:g} x {stable}",
        )
        if theirs is None:
            counts, worse = f"{counts}, with no stable colour to compare", f"a rate of at most {_percent(self._limit)}"
        elif self._alone:
            before = f"before, {_of(self._canary.counts())}, {stable} {_of(theirs)}"
            counts, worse = f"{counts} in the bake ({before})", f"{worse}, and than {_percent(self._limit)} in the bake"
        else:
            counts = f"{counts}, {stable} {_of(theirs)} meanwhile"
        against = f"{_text(evidence)} against {worse}"

        def judgement(outcome: Literal["pass", "fail", "not enough data"], reason: str) -> Judgement:
            return Judgement(outcome, reason, canary, theirs, evidence, bound)

        if evidence > limits.threshold:
            return judgement("fail", f"{counts}: {against} (limit {_text(limits.threshold)})")
        if self._lost:
            return judgement("not enough data", f"{counts}, but {self._lost:,} lines of the log are missing")
        if not self._reached:
            return judgement("not enough data", f"nobody has reached {name} in this step: nothing to judge")
        if evidence >= doubt:
            between = f"too much to pass ({_text(doubt)}), too little to fail ({_text(limits.threshold)})"
            return judgement("not enough data", f"{counts}: {against}, {between}")
        calm = f", {name} {_of(judged)} while {stable} kept to the limit itself" if self._storms else ""
        sure = f"at {100 * limits.confidence:g} % confidence (limit {_percent(self._limit)})"
        if bound < self._limit:
            return judgement("pass", f"{counts}{calm}: {name}'s rate is below {_percent(bound)} {sure}")
        if not self._alone and as_good >= doubt:
            rather = f"{name} being as good as {stable} rather than {limits.ratio:g} x as bad"
            return judgement("pass", f"{counts}: {_text(as_good)} for {rather} ({_text(doubt)} is enough)")
        return judgement("not enough data", f"{counts}{calm}: {name}'s rate may be up to {_percent(bound)} {sure}")


def upper_bound(failed: int, visitors: int, confidence: float) -> float:
    """One-sided Clopper-Pearson: the rate at which so few failures would have a probability of 1 - confidence."""
    if failed >= visitors:
        return 1.0
    low, high = failed / visitors, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(failed, visitors, middle) > 1 - confidence else (low, middle)
    return high


def _at_most(k: int, n: int, p: float) -> float:
    """P(X <= k) for a binomial X, where p >= k/n: from k down the terms shrink."""
    choose = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    term, total = math.exp(choose + k * math.log(p) + (n - k) * math.log1p(-p)), 0.0
    for i in range(k, -1, -1):
        total += term
        term *= i * (1 - p) / ((n - i + 1) * p)
        if term <= total * 1e-16:
            break
    return total


def _log_likelihood_ratio(r: float, q: float, k: int, m: int) -> float:
    """log((q'/q)^k ((1-q')/(1-q))^m), where q' has r times the odds of q."""
    return k * math.log(r) - (k + m) * math.log(1 - q + q * r)


def _log_sum(logs: list[float]) -> float:
    top = max(logs)
    return top + math.log(sum(math.exp(log - top) for log in logs))


def _of(counts: Counts) -> str:
    return f"{counts.failed:,} of {counts.visitors:,}"


def _percent(rate: float) -> str:
    return f"{100 * rate:.3g} %"


def _odds(log: float) -> float:
    return math.exp(min(log, 690.0))


def _text(odds: float) -> str:
    return f"{odds:,.0f} : 1" if odds < 1e6 else "more than 1,000,000 : 1"


class _Tally:
    """Visitors whom a colour served before their first failure, and how many of these it failed."""

    def __init__(self) -> None:
        self.visitors: set[str] = set()
        self.failed = 0

    def add(self, visitors: set[str], failed: int) -> None:
        self.visitors |= visitors
        self.failed += failed

    def counts(self) -> Counts:
        return Counts(len(self.visitors), self.failed)
