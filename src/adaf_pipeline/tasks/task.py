"""The one way tasks are made: long flags only, our errors instead of tracebacks, our exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.parser.argument import Argument
from invoke.tasks import Task
from invoke.tasks import task as invoke_task

from adaf_pipeline.errors import AdafError, ConfigError
from adaf_pipeline.tasks.typed import as_typed, on_stack

LONGEST = 2000  # characters of an error's line
STANDARD = {
    "stack": "the stack NAME: adaf.yaml with the overlay adaf.NAME.yaml",
    "json": "print one JSON document on stdout, everything else on stderr",
    "plan": "print what would happen, and why, and do nothing",
}


class NotGiven(str):
    """What a flag of text is without the flag: equal to "", and not what `--to "$EMPTY"` gives."""


class PipelineTask(Task):  # type: ignore[type-arg]  # invoke is not generic at run time
    """Turns an AdafError into two lines and its exit code; Ctrl-C outside a run into 130."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        texts = dict(self.help)  # invoke takes them out as it goes, and they are gone when it asks again
        found: list[Argument] = super().get_arguments(ignore_unknown_help)
        self.help = texts
        for argument in found:
            if argument.kind is str and argument.default == "":
                argument.default = NotGiven()
        return found

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = kwargs.get("stack")
        with on_stack(given if isinstance(given, str) else ""):
            return self._two_lines(*args, **kwargs)

    def _two_lines(self, *args: Any, **kwargs: Any) -> Any:
        try:
            _not_dry(args, self.name)
            for name, value in kwargs.items():
                if isinstance(value, str) and not isinstance(value, NotGiven):
                    _sound(f"--{name.replace('_', '-')}", value)
            return super().__call__(*args, **kwargs)
        except AdafError as exc:
            if kwargs.get("json"):
                from adaf_pipeline.tasks.console import print_json

                print_json({"ok": False, "task": self.name, **error_json(exc)})
            else:
                print_error(exc)
            raise Exit(code=exc.exit_code) from None
        except KeyboardInterrupt:
            raise Exit(code=130) from None
        except BrokenPipeError:
            sys.stderr.close()  # the reader of a pipe went away: nothing to say, and nobody to say it to
            raise Exit(code=1) from None


def _not_dry(args: tuple[Any, ...], name: str) -> None:
    """Invoke's own --dry keeps `run` from running, which no task of ours uses: it would deploy all the same."""
    if args and isinstance(args[0], Context) and args[0].config.run.dry:
        raise ConfigError("--dry: nothing here obeys it, so nothing was done", f"inv {name} --plan, where it has one")


def _sound(flag: str, value: str) -> None:
    if not value.strip():
        raise ConfigError(f"{flag}: empty", "give it a value, or leave it out")
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise ConfigError(f"{flag}: not UTF-8 text", "what does the shell make of it?") from exc


def error_json(exc: AdafError) -> dict[str, Any]:
    return {
        "error": as_typed(exc.message),
        "hint": as_typed(exc.hint),
        "exit": exc.exit_code,
        "detail": list(exc.detail),
    }


def print_error(exc: AdafError) -> None:
    """Evidence first, the two lines last, where a tired eye looks."""
    for line in exc.detail:
        print(f"  | {line}", file=sys.stderr)
    print(f"error: {_one_line(as_typed(exc.message))}", file=sys.stderr)
    if exc.hint:
        print(f"hint: {_one_line(as_typed(exc.hint))}", file=sys.stderr)


def _one_line(text: str) -> str:
    """A name that somebody chose must not break the line, colour the terminal or fill the screen."""
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    return plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}..."


def task(*, optional: tuple[str, ...] = (), **flags: str) -> Callable[[Callable[..., Any]], PipelineTask]:
    """Make a function a task. ``flags``: help texts by parameter; the standard ones are known."""

    def make(function: Callable[..., Any]) -> PipelineTask:
        names = function.__code__.co_varnames[1 : function.__code__.co_argcount]
        texts = {name.replace("_", "-"): as_typed((STANDARD | flags)[name]) for name in names}
        function.__doc__ = as_typed(function.__doc__ or "")
        made: PipelineTask = invoke_task(
            klass=PipelineTask, positional=[], auto_shortflags=False, optional=list(optional), help=texts
        )(function)
        return made

    return make
