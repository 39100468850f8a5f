"""Type checks of the application, apart from a build."""

from __future__ import annotations

from adaf_pipeline.errors import AdafError
from adaf_pipeline.event import Json
from adaf_pipeline.plan import Facts, Plan, Run, Step
from adaf_pipeline.requests import TypecheckRequest
from adaf_pipeline.roles import StackView
from adaf_pipeline.workflows import build


def gather(stack: StackView, request: TypecheckRequest) -> Facts:
    """Refuses what cannot be checked."""
    app = build.the_app(stack)
    build.check(stack, app)
    return {"app": app.name}


def plan(stack: StackView, request: TypecheckRequest, facts: Facts) -> Plan:
    """One step, with every problem in its error."""
    app = build.the_app(stack)

    def check(run: Run) -> Json:
        problems = app.typecheck(build.prepare(stack, app, run.progress))
        if problems:
            files = len({problem.file for problem in problems})
            raise AdafError(
                f"{len(problems)} type error{'s' * (len(problems) > 1)} in {files} file{'s' * (files > 1)} of {app.name}",
                "mend them and run `inv typecheck` again",
                detail=build.describe(problems),
            )
        return {"problems": 0}

    step = Step("typecheck", f"check the types of {app.name}", check, say=lambda _o: "no type errors")
    return Plan(request, facts, (step,), result=lambda run: run.outputs["typecheck"])
