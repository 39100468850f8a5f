"""up, down, prune, status, logs, maintenance."""

from __future__ import annotations

import sys

from invoke.context import Context

from adaf_pipeline.tasks.task import task


@task()
def up(_c: Context, stack: str = "", json: bool = False, plan: bool = False) -> None:
    """Start the stack, or bring a changed adaf.yaml to it.

    Restarts only what it must; --plan shows what that is.
    Exit code 1: a service did not start; 6: something is missing.

    Example: inv up --plan
    """
    from adaf_pipeline.requests import UpRequest
    from adaf_pipeline.tasks.dispatch import dispatch

    dispatch(lambda _stack: UpRequest(), stack=stack, json=json, plan=plan)


@task(
    purge="delete data, secrets and releases as well", yes="the stack's name, to confirm on a stack that is not local"
)
def down(
    _c: Context, purge: bool = False, yes: str = "", stack: str = "", json: bool = False, plan: bool = False
) -> None:
    """Stop the stack; data stay, unless with --purge.

    On a stack that is not `local` it asks for --yes NAME (exit code 6).

    Example: inv down --purge --plan
    """
    from adaf_pipeline.errors import ConfigError, PreconditionError
    from adaf_pipeline.requests import DownRequest, Request
    from adaf_pipeline.stack import Stack
    from adaf_pipeline.tasks.dispatch import dispatch

    def make(opened: Stack) -> Request:
        if yes and yes != opened.name:
            raise ConfigError(f"--yes={yes}: this is the stack {opened.name}", "which one is meant? --stack NAME")
        if not plan and opened.name != "local" and not yes:
            what, flag = (" and deletes its data", " --purge") if purge else ("", "")
            raise PreconditionError(f"this stops {opened.name}{what}", f"inv down{flag} --yes {opened.name}")
        return DownRequest(purge=purge)

    dispatch(make, stack=stack, json=json, plan=plan)


@task(yes="the stack's name, to confirm on a stack that is not local")
def prune(_c: Context, yes: str = "", stack: str = "", json: bool = False, plan: bool = False) -> None:
    """Remove what nothing needs any more.

    Releases beyond deploy/keep, old journals, what killed runs left. Data,
    what serves, and what a rollback needs stay; --plan lists what would go.

    Example: inv prune --plan
    """
    from adaf_pipeline.errors import PreconditionError
    from adaf_pipeline.requests import PruneRequest, Request
    from adaf_pipeline.stack import Stack
    from adaf_pipeline.tasks.dispatch import dispatch

    def make(opened: Stack) -> Request:
        if not plan and opened.name != "local" and yes != opened.name:
            raise PreconditionError(
                f"this deletes old releases and journals of {opened.name}",
                f"look at `inv prune --plan`, then inv prune --yes {opened.name}",
            )
        return PruneRequest()

    dispatch(make, stack=stack, json=json, plan=plan)


@task(watch="look again every 2 s, until Ctrl-C; in a log, when something changed")
def status(_c: Context, watch: bool = False, stack: str = "", json: bool = False) -> None:
    """Show what runs, what is live, and the next sensible command.

    Exit code 1: something does not answer. With --watch: 0 after Ctrl-C.

    Example: inv status --watch
    """
    import time

    from invoke.exceptions import Exit

    from adaf_pipeline.errors import ConfigError
    from adaf_pipeline.tasks import overview
    from adaf_pipeline.tasks.dispatch import header, show, the_stack
    from adaf_pipeline.workflows import status as workflow

    if json and watch:
        raise ConfigError("--watch with --json: a document has an end", "leave one of the two out")
    began, opened = time.monotonic(), the_stack(stack)
    if watch:
        overview.watch(lambda: workflow.status(opened), header(opened))
        return
    document = workflow.status(opened)
    document |= {"task": "status", "seconds": round(time.monotonic() - began, 2)}
    show(document, overview.lines(document, overview.width()), stack=opened, json=json)
    if not document["ok"]:
        raise Exit(code=1)


@task(
    service="which one: database.1, web.blue.1, ...", lines="how many lines, 50 without it", follow="go on until Ctrl-C"
)
def logs(
    _c: Context, service: str = "", lines: str = "50", follow: bool = False, stack: str = "", json: bool = False
) -> None:
    """Print the newest lines of a service's log.

    Without --service it says which there are (exit code 6).

    Example: inv logs --service proxy.1 --follow
    """
    from adaf_pipeline.errors import ConfigError, PreconditionError
    from adaf_pipeline.tasks.dispatch import show, the_stack

    opened = the_stack(stack)
    if json and follow:
        raise ConfigError("--follow with --json: a document has an end", "leave one of the two out")
    if not service:
        known = ", ".join(sorted(opened.runtime.observe())) or "none yet: inv up"
        raise PreconditionError("which service? (--service NAME)", f"there are: {known}")
    if not lines.isascii() or not lines.isdigit() or len(lines) > 6:
        raise ConfigError(f"--lines={lines}: not a number of lines below a million", "for example --lines=200")
    if json:
        said = list(opened.runtime.logs(service, int(lines)))
        show({"ok": True, "task": "logs", "service": service, "lines": said}, (), stack=opened, json=True)
        return
    silent = int(lines) > 0
    for line in opened.runtime.logs(service, int(lines), follow=follow):
        print(line, flush=follow)
        silent = False
    if silent:
        print(f"{service} has said nothing yet", file=sys.stderr)


@task(on="visitors get the maintenance page from now on", off="visitors get the site again")
def maintenance(_c: Context, on: bool = False, off: bool = False, stack: str = "", json: bool = False) -> None:
    """Show visitors a maintenance page, or no more.

    At once, and until it is taken off. Health checks and the pipeline's own
    probes still reach the application. Without a flag: which it is.

    Example: inv maintenance --on
    """
    from adaf_pipeline.errors import ConfigError
    from adaf_pipeline.tasks.dispatch import show, the_stack

    if on and off:
        raise ConfigError("--on and --off: one of them", "without a flag it says which it is")
    opened = the_stack(stack)
    if on or off:
        opened.proxy.set_maintenance(on)
    closed = opened.proxy.maintenance()
    said = "visitors get the maintenance page: inv maintenance --off" if closed else "visitors get the site"
    show({"ok": True, "task": "maintenance", "maintenance": closed}, [said], stack=opened, json=json)
