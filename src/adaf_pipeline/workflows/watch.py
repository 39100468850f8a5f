"""What a deploy looks at while visitors move: the balancer's log, the probe stream, and the verdict on both."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace

from adaf_pipeline.config import DeploySettings
from adaf_pipeline.errors import UnhealthyError
from adaf_pipeline.event import Json
from adaf_pipeline.plan import Run
from adaf_pipeline.workflows import probe
from adaf_pipeline.workflows.clock import SteadyClock
from adaf_pipeline.workflows.receipt import Receipt, Result
from adaf_pipeline.workflows.verdict import Evidence, Judgement, Limits

TICK = 1.0  # seconds of log in one window of the verdict
GLANCE = 0.2  # seconds between looks at the control file and at signals
JUMP = 0.05  # seconds: less is no jump of the clock, but a correction of it
FRESH = 60.0  # seconds in which every look at a step is told; a step that is held for hours must not fill the journal
SAY = 5.0  # seconds between two reports after that


class Watch:
    """One deploy's eyes, from before the first change to the end; closed by the engine."""

    def __init__(self, run: Run, canary: str, stable: str | None, release: str) -> None:
        settings: DeploySettings = run.stack.config.deploy
        self.settings, self.canary, self.stable, self.release = settings, canary, stable, release
        limits = Limits(absolute=settings.absolute_limit, ratio=settings.tolerance)
        self.evidence = Evidence(canary, stable, limits)
        self.changed_at: float | None = None
        self.failed: dict[str, Json] | None = None  # the verdict that ended it
        self.clock = SteadyClock()
        self.served = {colour: {"requests": 0, "failed": 0} for colour in (stable, canary) if colour}
        self._held = ExitStack()
        self.log = self._held.enter_context(run.stack.balancer.log())
        wanted = settings.probe
        self.stream = probe.ProbeStream(
            run.stack.proxy.url(),
            probe.ProbeSettings(
                rate=wanted.rate,
                get=wanted.paths,
                post=wanted.post,
                timeout=wanted.timeout,
                headers=run.stack.proxy.pass_for_probes(),
            ),
            clock=self.clock.now,
        )
        self.stream.start()
        self._begin_counting()

    def _begin_counting(self) -> None:
        """A step may be held for hours: what was counted is not counted anew each second."""
        self._read = 0  # of the stream's results
        self._counts = {"sent": 0, "lost": 0, "duplicated": 0}  # since the first change
        self._refused: list[Result] = []  # 4xx of the release, and whether anybody else gave one
        self._refused_elsewhere = False

    def close(self) -> None:
        self.stream.close()
        self._held.close()

    def receipt(self) -> Receipt:
        """What the probes saw so far."""
        until = self.changed_at if self.stable else None
        return Receipt.of(self.stream.results(), baseline_until=until, release=self.release, missed=self.stream.missed)

    def finish(self) -> Receipt:
        """The last word: no more probes, and those in flight have ended. UnhealthyError when some were lost."""
        self.stream.stop()
        judged = self.look()
        if judged.outcome == "fail":
            raise UnhealthyError(judged.reason, "the previous release serves")
        self._refuse_losses(judged)
        return self.receipt()

    def share_changed(self, *, alone: bool) -> None:
        """A new share took effect now: a verdict needs visitors from here on."""
        self.changed_at = self.changed_at or self.clock.now()
        self.evidence.step(self.clock.now(), alone=alone)

    def look(self) -> Judgement:
        """One window of the log, and what follows from all so far."""
        jump, served = self.clock.jump(), self.log.take()
        if abs(jump) > JUMP:  # the balancer's clock is the machine's
            served = tuple(replace(line, at=line.at - jump) for line in served)
        for line in served:
            if line.colour in self.served:
                self.served[line.colour]["requests"] += 1
                self.served[line.colour]["failed"] += line.failed
        self.evidence.add(served)
        self.evidence.lost(self.log.missing)
        return self.evidence.judge()

    def until_judged(
        self,
        run: Run,
        step: str,
        what: str,
        window: float,
        *,
        promoted: Callable[[], bool] = lambda: False,
        hold: bool = False,
    ) -> dict[str, Json]:
        """Watch for ``window`` seconds at least and up to max_windows of them; UnhealthyError when it does not hold.

        A pass needs data: without it ``on_doubt`` decides. ``promoted`` ends it early; with ``hold`` nothing else does.
        """
        began = time.monotonic()
        limit = window * self.settings.max_windows
        before = {colour: dict(counts) for colour, counts in self.served.items()}
        said, next_look = -math.inf, began + min(TICK, max(window, GLANCE))
        while True:
            run.wait(GLANCE)
            now = time.monotonic()
            if now < next_look:
                continue
            next_look = now + TICK
            judged, spent = self.look(), now - began
            seen = {**_json(judged), "share": dict(run.stack.balancer.share()), "served": self._since(before)}
            self.failed = {"step": step, **seen}
            if spent < FRESH or now - said >= SAY or judged.outcome == "fail":
                said = now
                far = f"held for {spent:.0f} s" if hold else f"{spent:.0f} of {window:g} s"
                wait = {"seconds": round(spent, 1), "window": window, "limit": limit, "hold": hold}
                run.progress(f"{what}: {far}, {judged.reason}", watch={**wait, "probes": self._probes(), **self.failed})
            if judged.outcome == "fail":
                raise UnhealthyError(
                    f"{what}: {judged.reason}", f"inv logs --service {self._service(run)}; the previous release serves"
                )
            self._refuse_losses(judged)
            if promoted():
                return {**seen, "outcome": "promoted", "reason": f"promoted by hand; so far: {judged.reason}"}
            if not hold and spent >= window and judged.outcome == "pass":
                return seen
            if not hold and spent >= limit:
                return {**seen, **self._in_doubt(what, judged, spent)}

    def _probes(self) -> dict[str, Json]:
        """What was sent since the first change, and what became of it."""
        results = self.stream.results()
        fresh, self._read = results[self._read :], len(results)
        for result in fresh:
            refused = 400 <= result.status < 500
            self._refused_elsewhere = self._refused_elsewhere or (refused and result.release != self.release)
            if self.changed_at is None or result.sent_at < self.changed_at:
                continue
            self._counts["sent"] += 1
            self._counts["lost"] += result.lost
            self._counts["duplicated"] += result.seen is not None and result.seen > 1
            if refused and result.release == self.release:
                self._refused.append(result)
        return dict(self._counts)

    def _since(self, before: Mapping[str, Mapping[str, int]]) -> dict[str, Json]:
        """Requests and failed ones by colour, since a step began."""
        return {
            colour: {name: count - before[colour][name] for name, count in counts.items()}
            for colour, counts in self.served.items()
        }

    def _in_doubt(self, what: str, judged: Judgement, spent: float) -> dict[str, Json]:
        if self.settings.on_doubt == "continue":
            return {"reason": f"{judged.reason}; deploy/on_doubt says continue"}
        raise UnhealthyError(
            f"{what}: not enough data after {spent:.0f} s: {judged.reason}",
            "more visitors or probes (deploy/probe/rate), a longer deploy/window, or deploy/on_doubt: continue",
        )

    def _refuse_losses(self, judged: Judgement) -> None:
        """Only what was sent since the first change is the deploy's doing."""
        counts = self._probes()
        if counts["lost"] or counts["duplicated"]:
            since = [r for r in self.stream.results() if self.changed_at is not None and r.sent_at >= self.changed_at]
            receipt = Receipt.of(since, baseline_until=None, release=self.release)
            raise UnhealthyError(
                f"the probe stream: {receipt.text()}",
                f"what the balancer saw: {judged.reason}; the previous release serves",
            )
        if self._refused and not self._refused_elsewhere:
            first = self._refused[0]
            raise UnhealthyError(
                f"the probe stream: {len(self._refused)} probes were refused (HTTP {first.status} to {first.method})",
                "the release does not know a path of deploy/probe; the previous release serves",
            )

    def _service(self, run: Run) -> str:
        return f"{next(iter(run.stack.apps))}.{self.canary}.1"


def _json(judged: Judgement) -> dict[str, Json]:
    def counts(of: object) -> Json:
        return None if of is None else {"visitors": of.visitors, "failed": of.failed}  # type: ignore[attr-defined]

    return {
        "outcome": judged.outcome,
        "reason": judged.reason,
        "canary": counts(judged.canary),
        "stable": counts(judged.stable),
        "evidence": min(judged.evidence, 1e12),
        "bound": round(judged.bound, 5),
    }
