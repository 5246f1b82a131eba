"""Takes ready steps for this process: leased in batches, fenced by the attempt number."""

from __future__ import annotations

import logging

from django.db import transaction

from agents.runtime import sharing
from agents.runtime.exceptions import CannotBegin
from agents.runtime.opening import Claimed, open_attempts
from projects.failpoints import failpoint

logger = logging.getLogger(__name__)

__all__ = ["Claimed", "claim", "take_and_open"]


def claim(owner: str, *, limit: int) -> list[Claimed]:
    """Lease up to `limit` ready steps and open an attempt for each, as `take_and_open` does."""
    return take_and_open(owner, limit=limit)[1]


def take_and_open(owner: str, *, limit: int) -> tuple[int, list[Claimed]]:
    """Lease up to `limit` ready steps and open an attempt for each, in one transaction.

    Return how many were taken, and those that could be opened: a step whose task has used up a
    limit, or that cannot begin, goes to a person instead.
    Fair between projects, by priority inside one, never above an agent's cap, nothing that is held.
    Commits to disk, unlike a heartbeat could: an attempt number given twice would fence nobody off.
    """
    try:
        return _take_and_open(owner, limit, apart=False)
    except CannotBegin:
        logger.warning("steps cannot begin together: once more, each by itself", exc_info=True)
    return _take_and_open(owner, limit, apart=True)


def _take_and_open(owner: str, limit: int, *, apart: bool) -> tuple[int, list[Claimed]]:
    # Steps before tasks is the lock order of the whole floor; nobody waits for a step while it
    # holds a task, and SKIP LOCKED never waits.
    with transaction.atomic():
        ids = sharing.take(owner, limit=limit)
        if not ids:
            return 0, []
        failpoint("claim.leased")
        opened = open_attempts(ids, owner, apart=apart)
        failpoint("claim.opened")
    return len(ids), opened
