"""What a deploy cost its visitors, counted: from the probe stream's results to a Receipt. Pure.

*lost*        no complete answer, or a 5xx that carries no release id: nobody of ours answered
*error*       an application's own 5xx
*duplicated*  an answer with ``Idempotency-Seen`` above 1, or a request id that was executed twice
*late*        slower than max(5 x p99, p99 + 250 ms) of the baseline: what was answered before anything was changed
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from adaf_pipeline.event import Json

LATE_FACTOR = 5.0
LATE_MARGIN = 250.0  # ms


@dataclass(frozen=True, slots=True)
class Result:
    """One probe request. Complete answers have ``error`` "" and a status; the others say how they ended."""

    sent_at: float  # unix seconds
    method: str
    connection: Literal["fresh", "reused", ""]  # "" = the request never got one
    status: int  # 0 = no complete answer
    error: str  # timeout, closed, truncated, reset, refused, garbled, unsent
    seconds: float  # from the first effort (a fresh connection is part of it) to the last byte
    release: str  # x-release-id, "" = none
    seen: int | None  # Idempotency-Seen, None = none
    request: str  # X-Request-Id, Idempotency-Key and visitor id

    @property
    def lost(self) -> bool:
        return bool(self.error) or (self.status >= 500 and not self.release)


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank: the smallest value that ``share`` (0 < share <= 1) of all do not exceed. Needs one value."""
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]


@dataclass(frozen=True)
class Receipt:
    """Times are ms. None = could not be measured: without a baseline (a first release) nobody can say what is late."""

    sent: int
    lost: int
    duplicated: int
    late: int | None
    errors: int
    baseline: int  # answers the baseline was measured with
    baseline_p50: float | None
    baseline_p99: float | None
    p99: float | None  # of everything answered since
    first_on_new: float | None  # the new release's first answer
    releases: Mapping[str, int] = field(default_factory=dict)  # complete answers by release id, "" = none
    reasons: Mapping[str, int] = field(default_factory=dict)  # of what was lost: "timeout", "502", ...
    missed: int = 0  # requests that should have been sent, but our own process stood still: evidence that is missing

    @classmethod
    def of(
        cls,
        results: Iterable[Result],
        *,
        baseline_until: float | None,
        release: str = "",
        executed: Iterable[str] = (),
        missed: int = 0,
    ) -> Receipt:
        """Count. ``baseline_until``: unix seconds of the first change, None = there was nothing before it.

        ``release``: the new one. ``executed``: request ids from the application's own ledger, one per execution.
        ``missed``: from the ProbeStream.
        """
        every = sorted(results, key=lambda r: r.sent_at)
        answers = [r for r in every if not r.lost]
        until = -math.inf if baseline_until is None else baseline_until
        before = [r for r in answers if r.sent_at + r.seconds <= until]
        after = [r.seconds * 1e3 for r in answers if r.sent_at + r.seconds > until]
        base = [r.seconds * 1e3 for r in before]
        p99 = percentile(base, 0.99) if base else None
        late = None if p99 is None else sum(ms > max(LATE_FACTOR * p99, p99 + LATE_MARGIN) for ms in after)
        # the same release again (a restart) has no first answer that could be told from the old colour's
        new = [r for r in answers if release and r.release == release]
        first = new[0].seconds * 1e3 if new and new[0] not in before else None
        return cls(
            sent=len(every),
            lost=sum(r.lost for r in every),
            duplicated=len(_duplicated(every, executed)),
            late=late,
            errors=sum(r.status >= 500 for r in answers),
            baseline=len(base),
            baseline_p50=_ms(percentile(base, 0.5)) if base else None,
            baseline_p99=_ms(p99),
            p99=_ms(percentile(after, 0.99)) if after else None,
            first_on_new=_ms(first),
            releases=dict(sorted(Counter(r.release for r in answers).items())),
            reasons=dict(sorted(Counter(r.error or str(r.status) for r in every if r.lost).items())),
            missed=missed,
        )

    def json(self) -> dict[str, Json]:
        """All of it, as ``deploy --json`` and the journal keep it."""
        return asdict(self)

    def text(self) -> str:
        """One line for people."""
        why = ", ".join(f"{count} {name}" for name, count in self.reasons.items())
        late = "late: not judged, no baseline (first release)" if self.late is None else f"{self.late:,} late"
        words = [
            f"{self.sent:,} sent",
            f"{self.lost:,} lost" + (f" ({why})" if why else ""),
            f"{self.duplicated:,} duplicated",
            late,
            f"{self.errors:,} errors",
        ]
        if self.p99 is not None:
            was = "" if self.baseline_p99 is None else f" (before: {self.baseline_p99:g} ms)"
            words.append(f"p99 {self.p99:g} ms{was}")
        if self.first_on_new is not None:
            words.append(f"first on the new release {self.first_on_new:g} ms")
        if self.missed:
            words.append(f"{self.missed:,} not sent because the pipeline itself stood still")
        return ", ".join(words)


def _duplicated(results: Sequence[Result], executed: Iterable[str]) -> set[str]:
    """Request ids of ours that ran more than once: said by an answer, or by the ledger."""
    ours = {r.request for r in results}
    twice = {request for request, count in Counter(executed).items() if count > 1 and request in ours}
    return twice | {r.request for r in results if r.seen is not None and r.seen > 1}


def _ms(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
