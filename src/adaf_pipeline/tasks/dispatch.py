"""Flags -> Request -> hook -> engine: the way of every task that does something."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping

from invoke.exceptions import Exit

from adaf_pipeline.engine import Engine, Result
from adaf_pipeline.errors import AdafError
from adaf_pipeline.event import Json
from adaf_pipeline.requests import Request
from adaf_pipeline.stack import Stack, open_stack
from adaf_pipeline.tasks.console import Screen, console, open_screen, plan_json, plan_lines, print_json
from adaf_pipeline.tasks.task import error_json, print_error
from adaf_pipeline.tasks.typed import as_typed

TO_VISITORS = ("up", "deploy", "rollback", "promote")  # who did one of these thinks that visitors see it
CLOSED = "visitors get the maintenance page: inv maintenance --off"


def the_stack(name: str) -> Stack:
    """The stack of ``--stack``, ``ADAF_STACK``, or the nearest adaf.yaml."""
    if os.geteuid() == 0:
        os.umask(0o022)  # services run as another account, and have to get into what root makes; secrets have own modes
    return open_stack(name)


def header(stack: Stack) -> str:
    """The first line of every output."""
    return f"stack {stack.name}, runtime {stack.config.roles['runtime'].use}, {stack.checkout}"


def dispatch(make: Callable[[Stack], Request], *, stack: str, json: bool, plan: bool = False) -> Result:
    """Run a request, or print its plan. Ends the task with the run's exit code when it failed."""
    opened = the_stack(stack)
    screen = open_screen(to_stderr=json)
    screen.line(header(opened), "dim")
    request = make(opened)
    engine = Engine(opened, (screen,))
    if plan:
        built = engine.plan(request)
        if json:
            print_json({**plan_json(built), "stack": opened.name})
        else:
            for line in plan_lines(built):
                screen.line(line)
        return Result({"ok": True})
    try:
        result = engine.run(request)
    finally:
        screen.close()
    # or a deploy, also one that failed, would look like the end of it
    closed = str(result.document.get("task", "")) in TO_VISITORS and opened.proxy.maintenance()
    document = {**result.document, **({"maintenance": True} if closed else {})}
    if result.error is not None:
        if closed:
            screen.line(CLOSED)
        _failed(document, result.error, json)
    if json:
        print_json(document)
    else:
        if result.document.get("nothing"):
            screen.line(str(result.document["nothing"]))
        for line in result.lines:
            screen.line(line)
        if closed:
            screen.line(CLOSED)
    return result


def show(
    document: Mapping[str, Json], lines: Iterable[str], *, stack: Stack, json: bool, verbatim: bool = False
) -> None:
    """The end of a task that only reads. ``verbatim``: the lines are what a server said."""
    if json:
        following = {"next": [as_typed(command) for command in document["next"]]} if "next" in document else {}
        print_json({"stack": stack.name, **document, **following})
        return
    screen = Screen(console(sys.stdout))
    screen.line(header(stack), "dim")
    for line in lines:
        (screen.verbatim if verbatim else screen.line)(line)


def _failed(document: Mapping[str, Json], error: AdafError, json: bool) -> None:
    if json:
        print_json({**document, **error_json(error)})
    else:
        print_error(error)
    raise Exit(code=error.exit_code)
