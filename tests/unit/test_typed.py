"""Commands in messages are those that their reader has to type."""

from __future__ import annotations

import sys

import pytest

from adaf_pipeline.tasks.typed import as_typed, on_stack


@pytest.mark.parametrize(
    ("program", "stack", "said", "typed"),
    [
        ("inv", "", "next: inv status | inv rollback", "next: inv status | inv rollback"),
        ("adaf", "", "next: inv status | inv rollback", "next: adaf status | adaf rollback"),
        ("adaf", "", "`inv --list` shows them", "`adaf --list` shows them"),
        ("adaf", "", "`inv prune`, then inv up", "`adaf prune`, then adaf up"),
        ("inv", "prod", "inv up | inv logs --service a.1", "inv up --stack prod | inv logs --stack prod --service a.1"),
        ("inv", "prod", "`inv up` first, then deploy", "`inv up --stack prod` first, then deploy"),
        ("inv", "prod", "let ann run `inv down --stack prod --purge`", "let ann run `inv down --stack prod --purge`"),
        ("inv", "prod", "inv down --stack prod; inv up", "inv down --stack prod; inv up --stack prod"),
        ("adaf", "prod", "inv status; inv deploy --canary", "adaf status --stack prod; adaf deploy --stack prod --canary"),
        ("adaf", "prod", "the invoice of inventory", "the invoice of inventory"),
    ],
)  # fmt: skip
def test_a_command_has_the_program_and_the_stack_that_were_typed(
    program: str, stack: str, said: str, typed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [f"/somewhere/bin/{program}", "status"])
    with on_stack(stack):
        assert as_typed(said) == typed
    assert as_typed("inv up") == f"{program} up"
