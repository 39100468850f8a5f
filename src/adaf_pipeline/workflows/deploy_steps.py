"""The steps of a deploy after the stack is up and the release is built."""

from __future__ import annotations

from adaf_pipeline.errors import PreconditionError, ServiceError
from adaf_pipeline.event import Json
from adaf_pipeline.plan import Facts, Proof, Run, Step
from adaf_pipeline.requests import DeployRequest
from adaf_pipeline.roles import StackView
from adaf_pipeline.workflows import idle, origin, processes
from adaf_pipeline.workflows.deploy_report import failed_verdict, verdicts
from adaf_pipeline.workflows.releases import Releases
from adaf_pipeline.workflows.up import describe_share
from adaf_pipeline.workflows.watch import Watch


class DeploySteps:
    """One deploy: ``idle`` is the colour that gets the release, ``live`` the one that serves ("" in a first deploy)."""

    def __init__(self, stack: StackView, request: DeployRequest, facts: Facts) -> None:
        self.stack, self.request, self.facts = stack, request, facts
        self.app = next(iter(stack.apps.values()))
        self.releases = Releases(stack.state)
        self.settings = stack.config.deploy
        self.live, self.idle = str(facts["live"]), str(facts["idle"])
        self.names = processes.names(self.app, self.idle)
        # what does not answer is no measure for a canary, and shipping the fix has to be possible
        self.canary = request.canary if self.live and facts["answers"] else ()
        ways = [*(f"{percent:g}" for percent in self.canary), "100 %"]
        first = ""
        if not self.live:
            first = " (first release: only the absolute limit judges)"
        elif not facts["answers"]:
            first = f" ({self.live} does not answer: only the absolute limit judges)"
        self.summary = f"to {self.idle}: {' -> '.join(ways)}{first}"

    def release(self, run: Run) -> str:
        """The id, which a build gives."""
        return str(self.facts["release"] or run.outputs["build"]["release"])

    def watch(self, run: Run) -> Watch:
        return run.resource("watch", lambda: Watch(run, self.idle, self.live or None, self.release(run)))

    def steps(self) -> tuple[Step, ...]:
        back = f"all visitors back to {self.live}" if self.live else "nothing is live"
        names = ", ".join(self.names)
        found = [Step("preflight", self._preflight_why(), self.preflight, say=lambda o: o["live"])]
        if self.live and self.facts["share"].get(self.live, 0) < 100:
            found.append(Step("settle", f"a run that died left {self.idle} a share: {back}", self.settle))
        found += [
            Step("migrate", "the schema has what the release needs", self.migrate, say=self._migrated),
            Step(
                f"start-{self.idle}",
                f"the release starts beside what serves, as {names}",
                self.start,
                undo=self.stop,
                undo_why=f"stop {names}",
                say=lambda o: f"{names}: release {o['release']} runs",
            ),
            Step(
                "ready",
                f"{self.settings.passes} readiness answers in a row",
                lambda run: idle.await_ready(run, self.names, self.settings),
                say=lambda o: o["said"],
            ),
        ]
        if self.settings.warmup:
            why = f"{self.settings.warmup:g} s of requests before its first visitor: cold code is slow"
            found.append(Step("warm", why, self.warm, say=lambda o: o["said"]))
        if self.live:
            seconds = self.settings.probe.baseline
            found.append(Step("baseline", f"{seconds:g} s of probes before anything changes", self.baseline))
        found += [self._canary_step(percent) for percent in self.canary]
        found += [
            Step(
                "full",
                f"all visitors to {self.idle}",
                lambda run: self.shift(run, 100),
                proof=lambda _run: self._shares(100),
                undo=self.unshift,
                undo_why=back,
                say=lambda o: describe_share(o["share"]),
            ),
            Step(
                "bake",
                f"watched for {self.settings.bake:g} s at 100 %",
                self.bake,
                say=lambda o: f"{o['outcome']}: {o['reason']}",
            ),
            *self._workers_step(),
            Step(
                "confirm",
                "from here on the release counts as good" + (f"; {self.live} stays warm" if self.live else ""),
                self.confirm,
                proof=lambda _run: "done" if self.releases.confirmed() == self.idle else "not done",
                pivot=True,
                say=lambda o: f"release {o['release']} is live",
            ),
        ]
        return tuple(found)

    def _workers_step(self) -> tuple[Step, ...]:
        """Last before the pivot: a queue is worked by one release at a time, and by a good one."""
        before = self.facts["colours"].get(self.live, {}).get("workers", {})
        if not self.app.workers and not before:
            return ()
        lines = [f"{self.app.name}.{name}.1" for name in sorted({*before, *self.app.workers})]
        return (
            Step(
                "workers",
                "each worker of the release before ends, then the new one starts: never both",
                lambda run: processes.switch(run, self.app, self.idle),
                undo=lambda run: processes.switch(run, self.app, self.live),
                undo_why=f"the workers of {self.live} again" if self.live else "stop them",
                plan=tuple(lines),
                say=lambda o: ", ".join(o["workers"]) or "it has none",
            ),
        )

    def _canary_step(self, percent: float) -> Step:
        hold = self.request.hold
        until = "until `inv promote`" if hold else f"for {self.settings.window:g} s or more, then a verdict"

        def do(run: Run) -> Json:
            # a held step is promoted once each; without --hold one promote skips all that are left
            used = sum(o.get("outcome") == "promoted" for s, o in run.outputs.items() if s.startswith("canary-"))
            if not hold and run.wanted("promote"):
                return {"outcome": "skipped", "reason": "promoted by hand", "share": dict(self.stack.balancer.share())}
            output = self.shift(run, percent)
            if hold:
                run.progress(f"held at {percent:g} % and watched: `inv promote` goes on, `inv rollback` takes it back")
            judged = self.watch(run).until_judged(
                run,
                f"canary-{percent:g}",
                f"canary at {percent:g} %",
                self.settings.window,
                promoted=lambda: run.wanted("promote") > used,
                hold=hold,
            )
            return {**output, **judged}

        return Step(
            f"canary-{percent:g}",
            f"{percent:g} % of the visitors {until}",
            do,
            proof=lambda _run: "not done",
            undo=self.unshift,
            undo_why=f"all visitors back to {self.live}",
            say=lambda o: f"{o['outcome']}: {o['reason']}",
        )

    # ---------------------------------------------------------------------------------------------- what they do

    def _preflight_why(self) -> str:
        nowhere = ", so there is no step to hold at" if self.request.hold and not self.canary else ""
        if not self.live:
            return f"nothing is live yet{nowhere}"
        return f"{self.live} serves and answers" if self.facts["answers"] else f"{self.live} does not answer{nowhere}"

    def preflight(self, run: Run) -> Json:
        """Look at what is live. A sick one does not stop a deploy: shipping the fix has to be possible."""
        if not self.live:
            return {"live": "nothing is live yet"}
        release = self.facts["colours"].get(self.live, {}).get("release", "?")
        sick = processes.sick(self.stack, processes.names(self.app, self.live))
        state = f"not ready ({'; '.join(sick)})" if sick else "ready"
        return {"live": f"{self.live} ({release}) is {state}", "ready": not sick}

    def settle(self, run: Run) -> Json:
        self.stack.balancer.set_share({self.live: 100.0, self.idle: 0.0})
        return dict(self.stack.balancer.share())

    def migrate(self, run: Run) -> Json:
        """Forward only and compatible with what serves (expand, then contract), so there is no undo."""
        release = self.release(run)
        artefact = self.releases.path(release)
        wanted = self.app.migrations(artefact, release)
        for file in wanted.files:  # we may be root, and what the server says of a statement is in the journal
            if not file.resolve().is_relative_to(artefact.resolve()):
                raise PreconditionError(f"{file}: a link that leads out of the release", "put the file itself there")
        applied: list[str] = []
        if wanted.job is not None:
            self.stack.runtime.start((wanted.job,), run.progress)
            applied = [wanted.job.id]
        elif wanted.files:
            applied = self.stack.database.migrate(wanted.files, run.progress, release=release)
        return {"applied": applied, "level": self.stack.database.level()}

    @staticmethod
    def _migrated(output: Json) -> str:
        if output["applied"]:
            return f"applied {', '.join(output['applied'])}"
        return f"nothing to apply (level {output['level'] or 'none'})"

    def start(self, run: Run) -> Json:
        within = self.settings.ready_timeout  # how long a first answer may take is the deploy's to say
        return idle.start(run, self.app, self.idle, self.release(run), self.facts["config"], within)

    def stop(self, run: Run) -> Json:
        if self.releases.confirmed() == self.idle and not self.stack.balancer.share().get(self.idle, 0):
            self.releases.confirm(self.live)
        idle.stop(run, self.app, self.idle)
        self.releases.note({**self._entry(run), "outcome": "rolled back"})
        return None

    def _entry(self, run: Run) -> dict[str, Json]:
        """What the history keeps of this deploy."""
        watch = run.held("watch")
        return {
            "task": "deploy",
            "run": run.id,
            **origin.by(self.stack),
            "release": self.release(run),
            "colour": self.idle,
            "replaced": self.facts["colours"].get(self.live, {}).get("release", ""),
            "config": self.facts["config"],
            "level": run.outputs.get("migrate", {}).get("level", ""),
            "verdict": [*verdicts(run), *failed_verdict(run, watch)],
            "receipt": watch.receipt().json() if isinstance(watch, Watch) else None,
            "failure": run.failure and dict(run.failure),
        }

    def warm(self, run: Run) -> Json:
        return idle.warm_up(run, self.names, self.settings.warmup, self.settings.probe)

    def baseline(self, run: Run) -> Json:
        watch = self.watch(run)
        run.wait(self.settings.probe.baseline)
        receipt = watch.receipt()
        watch.log.take()  # what was before the first change is no evidence
        return {"requests": receipt.sent, "lost": receipt.lost}

    def shift(self, run: Run, percent: float) -> Json:
        share = {self.idle: float(percent)}
        if self.live:
            share[self.live] = 100.0 - percent
            self.watch(run)
        self.stack.balancer.set_share(share)
        self.watch(run).share_changed(alone=percent >= 100)
        return {"share": dict(self.stack.balancer.share())}

    def _shares(self, percent: float) -> Proof:
        return "done" if self.stack.balancer.share().get(self.idle, 0) == percent else "not done"

    def unshift(self, run: Run) -> Json:
        back = {self.live: 100.0, self.idle: 0.0} if self.live else {}
        if {c: p for c, p in self.stack.balancer.share().items() if p} != {c: p for c, p in back.items() if p}:
            self.stack.balancer.set_share(back)
        return {"share": dict(self.stack.balancer.share())}

    def bake(self, run: Run) -> Json:
        if not self.settings.bake:
            return {"outcome": "skipped", "reason": "deploy/bake is 0"}
        return self.watch(run).until_judged(run, "bake", "bake", self.settings.bake)

    def confirm(self, run: Run) -> Json:
        if self.stack.balancer.share().get(self.idle, 0) < 100:
            raise ServiceError("the share was changed by somebody else", "inv status, then deploy again")
        receipt = self.watch(run).finish()
        self.releases.confirm(self.idle)
        self.releases.note({**self._entry(run), "outcome": "live"})
        self.releases.forget_old(self.settings.keep, self.stack.runtime.discard)
        return {"release": self.release(run), "receipt": receipt.json()}
