"""Every error a user can meet, and the exit code it ends with.

    AdafError               1   the base: something failed
    |- ConfigError          2   adaf.yaml, an overlay, the environment or a flag is wrong
    |- PluginError          3   a plugin is missing, broken or in conflict
    |- UnhealthyError       4   a release did not hold; it was rolled back
    |- LockedError          5   another run holds the stack
    |- PreconditionError    6   something that must be there first is missing
    |- InterruptedRunError  130 a signal ended the run; it was undone
    |- ProcessError         1   a command failed (argv, exit code, last lines)
    `- ServiceError         1   a service did not start or died (what was waited for, its log tail)

An AdafError is printed as two lines, ``error:`` and ``hint:``. Anything else that reaches the top is a bug and shows
its traceback.
"""

from __future__ import annotations

from collections.abc import Iterable


class AdafError(Exception):
    """A failure that a user can act on: what happened, and what to do next."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "", *, detail: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = tuple(detail)  # evidence below the two lines: log tails, problem lists

    def __str__(self) -> str:
        return self.message


class ConfigError(AdafError):
    """adaf.yaml, an overlay, ``ADAF_*`` or a flag is wrong; the message starts with the path of the key."""

    exit_code = 2


class PluginError(AdafError):
    """A plugin is missing, broken, or two of them claim the same thing."""

    exit_code = 3


class UnhealthyError(AdafError):
    """What was deployed did not hold; the previous release serves."""

    exit_code = 4


class LockedError(AdafError):
    """Another run holds the stack; the message says who, since when and why."""

    exit_code = 5


class PreconditionError(AdafError):
    """Something that has to be there before the task can start is missing."""

    exit_code = 6


class InterruptedRunError(AdafError):
    """A signal ended the run after it was undone."""

    exit_code = 130


class ProcessError(AdafError):
    """A command exited with an error or ran out of time."""


class ServiceError(AdafError):
    """A service did not become ready, or died."""
