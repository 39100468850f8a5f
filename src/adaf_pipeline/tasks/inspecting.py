"""doctor, plugins, render: what there is, and what it would be."""

from __future__ import annotations

import sys
from typing import Any

from invoke.context import Context

from adaf_pipeline.tasks.task import task


@task(security="ask the rules of hardening, of the plan and of what runs")
def doctor(_c: Context, security: bool = False, stack: str = "", json: bool = False) -> None:
    """Check everything the stack needs.

    Exit code 6: something is missing; each line says what to do.
    With --security: 1 when a rule is broken that nobody waived.

    Example: inv doctor --security
    """
    from invoke.exceptions import Exit

    from adaf_pipeline.tasks.dispatch import show, the_stack
    from adaf_pipeline.workflows import security as rules
    from adaf_pipeline.workflows.status import findings

    opened = the_stack(stack)
    if security:
        document = rules.security(opened)
        show({"task": "doctor", **document}, rules.lines(document), stack=opened, json=json)
        if not document["ok"]:
            raise Exit(code=1)
        return
    found = findings(opened)
    bad = [f for f in found if not f["ok"]]
    lines = [_line(finding) for finding in found]
    whole = "nothing is missing; `inv status` shows what answers"
    lines.append(whole if not bad else f"{len(bad)} of {len(found)} need something")
    show({"ok": not bad, "task": "doctor", "findings": found}, lines, stack=opened, json=json)
    if bad:
        raise Exit(code=6)


def _line(finding: dict[str, Any]) -> str:
    mark = "ok " if finding["ok"] else "NO "
    hint = f"   -> {finding['hint']}" if not finding["ok"] and finding["hint"] else ""
    return f"{mark} {finding['role']:10} {finding['what']}{hint}"


@task(out="the folder; without it the main file is printed")
def render(_c: Context, out: str = "", stack: str = "", json: bool = False) -> None:
    """Write the files of a runtime that has some.

    On Docker Compose: docker-compose.prod.yml and a folder of configuration
    for each service. No secret is in them; nothing that runs changes.
    Exit code 6: the runtime has no files, or DIR has others.

    Example: inv render --stack prod --out rendered
    """
    from pathlib import Path

    from adaf_pipeline.errors import ConfigError
    from adaf_pipeline.tasks.dispatch import show, the_stack
    from adaf_pipeline.workflows import render as workflow

    opened = the_stack(stack)
    if json and not out:
        raise ConfigError("--json without --out: the file is no JSON", "inv render --out DIR --json")
    if not out:
        print(workflow.text(opened), end="")
        return
    document = workflow.render(opened, Path(out))
    lines = [f"{out}/{name}" for name in document["files"]]
    held = ", ".join(f"{colour} {release}" for colour, release in sorted(document["releases"].items()))
    lines.append(f"releases: {held}" if held else "no release yet: inv deploy")
    show({"task": "render", **document}, lines, stack=opened, json=json)


@task()
def plugins(_c: Context, stack: str = "", json: bool = False) -> None:
    """List every backend, its plugin, and what is broken.

    `*` marks what adaf.yaml uses.

    Example: inv plugins
    """
    from adaf_pipeline import config
    from adaf_pipeline.errors import AdafError
    from adaf_pipeline.plugins import discover
    from adaf_pipeline.stack import load
    from adaf_pipeline.tasks.console import Screen, console, print_json

    chosen: set[tuple[str, str]] = set()
    checkout, trouble = None, ""
    try:
        file = config.find()
        checkout = file.parent
        settings = load(file, stack)
        chosen = {(role, section.use) for role, section in settings.roles.items()}
        chosen |= {("app", section.use) for section in settings.apps.values()}
    except AdafError as exc:
        if stack:
            raise
        trouble = exc.message  # a listing has to work without a good adaf.yaml
    registry = discover(checkout)
    registry.check_tasks()
    rows = [
        {
            "role": role,
            "name": name,
            "plugin": plugin,
            "from": registry.origins.get(plugin, ""),
            "summary": b.summary,
            "target": b.target,
            "active": (role, name) in chosen,
        }
        for (role, name), providers in sorted(registry.backends().items())
        for plugin, b in providers
    ]
    if json:
        print_json({"ok": not registry.broken, "task": "plugins", "backends": rows, "broken": registry.broken})
        return
    screen = Screen(console(sys.stdout))
    for row in rows:
        mark, origin = "*" if row["active"] else " ", str(row["from"])
        ours = origin.startswith("adaf-pipeline ")
        more = "" if ours or not origin else f" ({origin})"
        screen.line(f"{mark} {row['role']:10} {row['name']:12} {row['plugin']:14} {row['summary']}{more}")
    for plugin, why in sorted(registry.broken.items()):
        screen.line(f"! {plugin} is broken: {why}", "red")
    screen.line("* is used by adaf.yaml" if not trouble else f"adaf.yaml was not read: {trouble}", "dim")
