"""Who runs what: fixed numbers, the same in the images, in the file and on the volumes."""

from __future__ import annotations

UIDS = {"proxy": 10001, "balancer": 10002, "app": 10003, "worker": 10003, "database": 10004, "cache": 10005}
OTHERS = 10009


def uid(role: str) -> int:
    """The user, and the group of the same number, of a role's services."""
    return UIDS.get(role, OTHERS)
