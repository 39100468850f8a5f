"""psql and redis: a shell, or one statement, on the current primary."""

from __future__ import annotations

from collections.abc import Mapping

from invoke.context import Context

from adaf_pipeline.tasks.task import task


@task(command="one SQL statement; without it a shell opens", admin="as the database's superuser")
def psql(_c: Context, command: str = "", admin: bool = False, stack: str = "", json: bool = False) -> None:
    """psql on the current primary, or one statement.

    As the application's role, or with --admin as the superuser.
    Exit code 1: the statement failed, or nobody answers.

    Example: inv psql --command "select count(*) from readings"
    """
    from adaf_pipeline.tasks.dispatch import show, the_stack

    opened = the_stack(stack)
    if not command:
        _no_shell(json)
        _shell(*opened.database.shell(admin=admin))
        return
    columns, rows = opened.database.query(command, admin=admin)
    document = {"ok": True, "task": "psql", "columns": list(columns), "rows": [list(row) for row in rows]}
    table = [columns, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]
    show(document, [*lines, f"({len(rows)} row{'s' * (len(rows) != 1)})"], stack=opened, json=json, verbatim=True)


@task(command="one command, in the shell's quoting; without it a shell opens")
def redis(_c: Context, command: str = "", stack: str = "", json: bool = False) -> None:
    """redis-cli on the current primary, or one command.

    Exit code 1: the command failed, or nobody answers.

    Example: inv redis --command "info memory"
    """
    import shlex

    from adaf_pipeline.errors import ConfigError
    from adaf_pipeline.tasks.dispatch import show, the_stack

    opened = the_stack(stack)
    if not command:
        _no_shell(json)
        _shell(*opened.cache.shell())
        return
    try:
        words = shlex.split(command)
    except ValueError as exc:
        raise ConfigError(f"--command: {exc}", 'for example --command "get app:greeting"') from exc
    answer = opened.cache.command(*words)
    lines = [str(one) for one in answer] if isinstance(answer, list | tuple) else str(answer).splitlines()
    show({"ok": True, "task": "redis", "answer": answer}, lines or ["(empty)"], stack=opened, json=json, verbatim=True)


def _no_shell(json: bool) -> None:
    from adaf_pipeline.errors import ConfigError

    if json:
        raise ConfigError(
            "--json without --command: a shell prints no document", "give the one statement with --command"
        )


def _shell(argv: tuple[str, ...], env: Mapping[str, str]) -> None:
    from invoke.exceptions import Exit

    from adaf_pipeline.process import interactive

    code = interactive(argv, env)
    if code:
        raise Exit(code=code)
