"""Build: the inputs decide; the same inputs are never built twice, and the result is named by its content."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from adaf_pipeline.errors import AdafError, ConfigError, PreconditionError
from adaf_pipeline.event import Json
from adaf_pipeline.plan import Facts, Plan, Proof, Run, Step
from adaf_pipeline.process import Account
from adaf_pipeline.requests import BuildRequest
from adaf_pipeline.roles import App, Problem, Progress, StackView, Workplace
from adaf_pipeline.workflows import leaks, origin, tree
from adaf_pipeline.workflows.releases import Releases


def the_app(stack: StackView) -> App:
    """The stack's application."""
    return next(iter(stack.apps.values()))


def check(stack: StackView, app: App) -> None:
    """``app.check()``; what it refuses names the file, overlay or variable that says it."""
    try:
        app.check()
    except ConfigError as exc:
        raise stack.config.blame(exc) from exc


def gather(stack: StackView, request: BuildRequest) -> Facts:
    """Pure: hashes the inputs and looks whether they were built before."""
    app = the_app(stack)
    check(stack, app)
    leaks.refuse_given(stack, app)
    inputs = tree.digest(app.root, app.inputs(), app.toolchain())
    built = "" if request.force else Releases(stack.state).built_from(inputs)
    return {"inputs": inputs, "built": built, "app": app.name}


def plan(stack: StackView, request: BuildRequest, facts: Facts) -> Plan:
    """Check, build and keep; nothing when these inputs were built before."""
    if facts["built"]:
        return Plan(
            request,
            facts,
            (),
            nothing=f"unchanged: these inputs gave release {facts['built']}",
            result=lambda _run: {"release": facts["built"], "inputs": facts["inputs"], "built": False},
            report=lambda d: [f"release {d['release']} (unchanged inputs, nothing built)", "next: inv deploy --canary"],
        )
    return Plan(request, facts, steps(stack, facts), result=_result, report=_report)


def steps(stack: StackView, facts: Facts) -> tuple[Step, ...]:
    """The steps that turn inputs into a release; deploy runs the same ones."""
    app = the_app(stack)
    releases = Releases(stack.state)

    def check_types(run: Run) -> Json:
        problems = app.typecheck(_place(run, app))
        if problems:
            raise AdafError(
                f"{len(problems)} type error{'s' * (len(problems) > 1)} in {app.name}",
                "mend them, or look again with `inv typecheck`",
                detail=describe(problems),
            )
        return {"problems": 0}

    def build(run: Run) -> Json:
        at, began = time.time(), time.monotonic()
        place = _place(run, app)
        app.build(place)
        if tree.digest(app.root, app.inputs(), app.toolchain()) != facts["inputs"]:
            raise PreconditionError(f"{app.name}: its files changed while they were built", "run it again")
        tree.take_over(place.output)  # from here on nobody puts a link where a file was
        leaks.refuse_built(stack, app, place.output)
        artefact = tree.digest(place.output, tree.files(place.output))
        release = artefact[:12]
        target = releases.path(release)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            place.output.rename(target)
        packaged = stack.runtime.package(target, release, app.service("blue", 1, release).image, run.progress)
        record = {
            **packaged,
            "release": release,
            "inputs": facts["inputs"],
            "artefact": artefact,
            "app": app.name,
            **origin.by(stack),
            "commit": origin.commit(stack.checkout),
            "toolchain": dict(app.toolchain()),
            "built": at,
            "seconds": round(time.monotonic() - began, 2),
        }
        releases.keep(record)
        return record

    def built(_run: Run) -> Proof:
        return "done" if releases.built_from(facts["inputs"]) else "not done"

    return (
        Step("typecheck", f"no release of {app.name} with type errors", check_types, say=lambda _o: "no type errors"),
        Step(
            "build",
            f"build {app.name} from inputs {facts['inputs'][:12]}",
            build,
            proof=built,
            say=lambda o: f"release {o['release']}",
        ),
    )


def describe(problems: Iterable[Problem]) -> list[str]:
    """Type errors as people read them, grouped by file."""
    lines: list[str] = []
    file = ""
    for problem in sorted(problems, key=lambda p: (p.file, p.line)):
        if problem.file != file:
            file = problem.file
            lines.append(file)
        lines.append(f"  line {problem.line}: {problem.message} [{problem.code}]")
    return lines


def _place(run: Run, app: App) -> Workplace:
    return prepare(run.stack, app, run.progress)


def prepare(stack: StackView, app: App, progress: Progress) -> Workplace:
    """A fresh output directory and an up-to-date copy of the inputs, both the building account's own."""
    base = stack.state / "builds" / app.name
    account = stack.account
    inputs, work, output = base / "inputs", base / "work", base / "output"
    tree.mirror(app.root, app.inputs(), inputs)
    if output.exists():
        shutil.rmtree(output)
    for folder in (work, output):
        _own(folder, account)
    tree.work_copy(inputs, work, account)
    log = base / "build.log"
    log.write_text("")
    return Workplace(work, output, log, progress)


def _own(folder: Path, account: Account | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if account is not None:
        os.chown(folder, account.uid, account.gid)


def _result(run: Run) -> Mapping[str, Json]:
    record = run.outputs["build"]
    return {key: record[key] for key in ("release", "inputs", "artefact")} | {"built": True}


def _report(document: Mapping[str, Json]) -> Iterable[str]:
    return [f"release {document['release']}", "next: inv deploy --canary"]
