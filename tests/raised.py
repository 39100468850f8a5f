"""The errors that the code can raise, read from its source: class and message, with what is filled in as a gap."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from adaf_pipeline import errors

ROOT = Path(__file__).parents[1]
CODES = {
    name: kind.exit_code
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.AdafError)
}
GAP = "\0"  # where the code fills something in


@dataclass(frozen=True)
class Raised:
    """One place that makes an error. ``pattern``: matches the message as a document writes it, gaps in CAPITALS."""

    place: str
    exit: int
    message: str

    @property
    def pattern(self) -> re.Pattern[str]:
        return re.compile("(?:(?:apps/)?[A-Z_]*|s)".join(re.escape(part) for part in self.message.split(GAP)))


def raised() -> list[Raised]:
    """Every error of the pipeline and its plugins whose message begins there. One that only passes another's message
    on has no entry of its own; ``testing`` is the authors' business."""
    found = []
    for file in sorted([*ROOT.glob("src/**/*.py"), *ROOT.glob("plugins/**/*.py")]):
        if "testing" in file.parts:
            continue
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args and (code := CODES.get(_name(node.func))):
                place = f"{file.relative_to(ROOT)}:{node.lineno}"
                found += [Raised(place, code, said) for said in set(_texts(node.args[0], tree)) if said.strip(GAP)]
    return found


def from_shell() -> list[Raised]:
    """The errors of ``ci/env``, which has to speak before there is a Python."""
    body = (ROOT / "ci" / "env").read_text()
    said = re.findall(r'\bdie "((?:\$\([^)]*\)|[^"])*)" "', body)
    gaps = re.compile(r"\$\{[^}]*\}|\$\([^)]*\)|\$\w+")
    return [Raised("ci/env", 6, gaps.sub(GAP, message)) for message in said]


def _name(call: ast.expr) -> str:
    return call.id if isinstance(call, ast.Name) else call.attr if isinstance(call, ast.Attribute) else ""


def _texts(node: ast.expr, tree: ast.Module) -> Iterator[str]:
    """What an expression can say: literals as they are, everything else as a gap."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(
            part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else GAP
            for part in node.values
        )
    elif isinstance(node, ast.BinOp):
        yield from (a + b for a in _texts(node.left, tree) for b in _texts(node.right, tree))
    elif isinstance(node, ast.IfExp):
        yield from (*_texts(node.body, tree), *_texts(node.orelse, tree))
    elif isinstance(node, ast.Name):  # message = "..." a few lines above
        made = [
            each.value
            for each in ast.walk(tree)
            if isinstance(each, ast.Assign) and any(isinstance(t, ast.Name) and t.id == node.id for t in each.targets)
        ]
        yield from (said for value in made if not isinstance(value, ast.Name) for said in _texts(value, tree))
    else:
        yield GAP
