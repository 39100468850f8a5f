"""What can be asked for. A task turns flags into one of these; ``hooks.adaf_plan`` answers with a Plan.

``workflow`` names the module that gathers the facts (``gather(stack, request)``, a pure read) and builds the core's
Plan (``plan(stack, request, facts)``): a string, so that this floor imports nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

from adaf_pipeline.event import Json


@dataclass(frozen=True)
class Request:
    """Base of all requests; a plugin's own subclass it."""

    task: ClassVar[str] = ""
    workflow: ClassVar[str] = ""
    changes: ClassVar[bool] = True  # takes the lock and is journaled
    rescues: ClassVar[bool] = False  # helps on a full disk: it goes on there, if need be without a record

    def json(self) -> dict[str, Json]:
        """The request as the journal keeps it."""
        return {"task": self.task, **asdict(self)}


@dataclass(frozen=True)
class UpRequest(Request):
    task = "up"
    workflow = "adaf_pipeline.workflows.up"


@dataclass(frozen=True)
class DownRequest(Request):
    task = "down"
    workflow = "adaf_pipeline.workflows.down"
    rescues = True
    purge: bool = False


@dataclass(frozen=True)
class BuildRequest(Request):
    task = "build"
    workflow = "adaf_pipeline.workflows.build"
    force: bool = False


@dataclass(frozen=True)
class TypecheckRequest(Request):
    task = "typecheck"
    workflow = "adaf_pipeline.workflows.typecheck"
    changes = False


@dataclass(frozen=True)
class LockfileRequest(Request):
    """``fix``: mend what can be mended without losing what somebody wrote."""

    task = "lockfile"
    workflow = "adaf_pipeline.workflows.lockfile"
    changes = False
    fix: bool = False


@dataclass(frozen=True)
class DeployRequest(Request):
    """``canary``: percentages before 100, () = straight to 100 after the idle colour is ready.

    ``hold``: each canary step goes on, watched, until somebody promotes it.
    """

    task = "deploy"
    workflow = "adaf_pipeline.workflows.deploy"
    canary: tuple[float, ...] = ()
    release: str = ""
    force: bool = False
    hold: bool = False


@dataclass(frozen=True)
class RollbackRequest(Request):
    """``to``: a release id or an unambiguous beginning of one; "" = the previous good release."""

    task = "rollback"
    workflow = "adaf_pipeline.workflows.rollback"
    rescues = True
    to: str = ""


@dataclass(frozen=True)
class PruneRequest(Request):
    task = "prune"
    workflow = "adaf_pipeline.workflows.prune"
    rescues = True
