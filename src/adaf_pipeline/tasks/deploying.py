"""build, typecheck, lockfile, deploy, promote, rollback, releases."""

from __future__ import annotations

import re
from typing import Any

from invoke.context import Context

from adaf_pipeline.tasks.task import task

PERCENT = re.compile(r"[0-9]{1,2}(\.[0-9]{1,6})?", re.ASCII)


@task(force="build even if these inputs were built before")
def build(_c: Context, force: bool = False, stack: str = "", json: bool = False, plan: bool = False) -> None:
    """Build a release; unchanged inputs are not built again.

    Exit code 1: type errors, or a failed build; 6: something is missing.

    Example: inv build --plan
    """
    from adaf_pipeline.requests import BuildRequest
    from adaf_pipeline.tasks.dispatch import dispatch

    dispatch(lambda _stack: BuildRequest(force=force), stack=stack, json=json, plan=plan)


@task()
def typecheck(_c: Context, stack: str = "", json: bool = False) -> None:
    """Check the application's types; problems by file.

    Exit code 1: there are type errors.

    Example: inv typecheck
    """
    from adaf_pipeline.requests import TypecheckRequest
    from adaf_pipeline.tasks.dispatch import dispatch

    dispatch(lambda _stack: TypecheckRequest(), stack=stack, json=json)


@task(fix="mend what can be mended without losing what somebody wrote")
def lockfile(_c: Context, fix: bool = False, stack: str = "", json: bool = False, plan: bool = False) -> None:
    """Check that packages are locked once, for what is asked for.

    By one manager, for what package.json says now. Exit code 6:
    they are not; each fault with the command that mends it.

    Example: inv lockfile --fix
    """
    from adaf_pipeline.requests import LockfileRequest
    from adaf_pipeline.tasks.dispatch import dispatch

    dispatch(lambda _stack: LockfileRequest(fix=fix), stack=stack, json=json, plan=plan)


@task(
    optional=("canary",),
    canary="move visitors in steps and judge each: bare for deploy/steps of adaf.yaml, or --canary=5,25,50",
    release="deploy a release that was built before, by the beginning of its id",
    force="also when the same release is live already",
    hold="stay at each canary step, watching, until `inv promote` (one step each); implies --canary",
)
def deploy(
    _c: Context,
    canary: Any = None,
    release: str = "",
    force: bool = False,
    hold: bool = False,
    stack: str = "",
    json: bool = False,
    plan: bool = False,
) -> None:
    """Build and bring live, judged; rolls back by itself.

    In a terminal one live screen, in a pipe or with CI=true lines.
    Exit code 4: the release did not hold, the previous one serves;
    5: another run holds the stack; 6: something is missing;
    130: interrupted, all was taken back.

    Example: inv deploy --canary=5,25,50
    """
    from adaf_pipeline.requests import DeployRequest
    from adaf_pipeline.tasks.dispatch import dispatch

    if hold and canary is None:
        canary = True
    dispatch(
        lambda opened: DeployRequest(canary_steps(canary, opened.config.deploy.steps), release, force, hold),
        stack=stack,
        json=json,
        plan=plan,
    )


def canary_steps(value: Any, default: tuple[float, ...]) -> tuple[float, ...]:
    """``--canary`` as percentages: None (absent), True (bare), or ``5,25,50``. ConfigError otherwise."""
    from adaf_pipeline.errors import ConfigError

    if value is None or value is False:
        return ()
    if value is True:
        return default
    parts = str(value).split(",")
    steps = tuple(float(part) for part in parts) if all(map(PERCENT.fullmatch, parts)) and len(parts) <= 20 else ()
    if not steps or list(steps) != sorted(set(steps)) or not 0 < steps[0] <= steps[-1] < 100:
        raise ConfigError(f"--canary={value}: not rising percentages between 0 and 100", "for example --canary=5,25,50")
    return steps


@task()
def promote(_c: Context, stack: str = "", json: bool = False) -> None:
    """Let the running deploy go on at once.

    It skips the canary steps that are left; with `deploy --hold` it goes
    on to the next one. Waits until it did.
    Exit code 4: the deploy did not hold; 6: none is running.

    Example: inv promote
    """
    from adaf_pipeline.tasks import running
    from adaf_pipeline.tasks.dispatch import show, the_stack

    opened = the_stack(stack)
    document = running.promote(opened)
    lines = [f"release {document['release']} is live at {document['url']}"]
    if document["step"]:
        lines = [f"the deploy went on to {document['step']} and holds there", "next: inv promote | inv rollback"]
    show(document, lines, stack=opened, json=json)


@task(to="a release id, or the beginning of one; without it the previous good release")
def rollback(_c: Context, to: str = "", stack: str = "", json: bool = False, plan: bool = False) -> None:
    """Go back to the previous good release.

    A flip while that is still warm, else it is started first. A running
    deploy is told to take everything back.
    Exit code 4: what it goes back to does not answer; 6: there is none.

    Example: inv rollback --plan
    """
    from adaf_pipeline.requests import RollbackRequest
    from adaf_pipeline.tasks import running
    from adaf_pipeline.tasks.dispatch import dispatch, show, the_stack

    if not plan:
        opened = the_stack(stack)
        undone = running.preempt(opened)
        if undone and not to:
            show(undone, [f"the deploy was undone: release {undone['release']} serves"], stack=opened, json=json)
            return
    dispatch(lambda _stack: RollbackRequest(to=to), stack=stack, json=json, plan=plan)


@task(show="tell the story of one release, by the beginning of its id")
def releases(_c: Context, show: str = "", stack: str = "", json: bool = False) -> None:
    """List the releases, or tell the story of one.

    Which is live, which is warm, how each deploy ended. With --show: who,
    when, from where, each step's figures, the receipt, why it went back.
    Exit code 6: no release, or more than one, begins so.

    Example: inv releases --show 3f9a
    """
    from adaf_pipeline.tasks import dispatch, listing
    from adaf_pipeline.workflows import story

    opened = dispatch.the_stack(stack)
    document = {"task": "releases", **(story.of_release(opened, show) if show else story.releases(opened))}
    dispatch.show(document, listing.lines(document), stack=opened, json=json)
