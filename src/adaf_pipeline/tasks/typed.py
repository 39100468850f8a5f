"""Commands in messages, as whoever reads them has to type them.

Everywhere in the code, in journals and in the documents a task is `inv TASK`. Where the program is `adaf` there may be
no `inv` that knows the tasks; and a command that was given --stack NAME and names the next one without it would send
its reader to another stack.
"""

from __future__ import annotations

import contextlib
import contextvars
import re
import sys
from collections.abc import Iterator

_COMMAND = re.compile(r"\binv ([a-z][a-z-]*)(?![a-z-]|[^|`;,]* --stack)")
_INV = re.compile(r"\binv (?=[a-z-])")
_stack = contextvars.ContextVar("stack", default="")


@contextlib.contextmanager
def on_stack(name: str) -> Iterator[None]:
    """While entered, commands name this stack. "" when none was given: then none has to be."""
    token = _stack.set(name)
    try:
        yield
    finally:
        _stack.reset(token)


def as_typed(text: str) -> str:
    """``next: inv status | inv rollback`` -> ``next: adaf status --stack prod | adaf rollback --stack prod``."""
    if "inv " not in text:
        return text
    name = _stack.get()
    if name:
        text = _COMMAND.sub(rf"inv \1 --stack {name}", text)
    return _INV.sub("adaf ", text) if _program() == "adaf" else text


def _program() -> str:
    return sys.argv[0].rpartition("/")[2]
