"""Follows main: what was sealed on a main that has moved is merged onto the new one, unasked."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from django.db import DatabaseError, connection, transaction
from django.db.models import Exists, OuterRef, Q

from agents import rounds
from agents.lifecycle import TaskState
from agents.models.proposals import ProposalKind
from approvals import freshness, reproposing
from approvals.lifecycle import ApprovalState
from approvals.models import SEAL, Approval
from approvals.sealing import new_since
from projects.exceptions import CountersignError
from projects.models import Project

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterator

    from django.db.models import QuerySet

logger = logging.getLogger(__name__)

LOOK_SECONDS = 10.0  # between two looks at the repositories
AHEAD = 20  # of one project at a time, those due first: each is merged and checked anew
_RESTS = 20  # times as long as a look took

Mains = dict["uuid.UUID", str]


class Follower:
    """Looks at the repositories on a thread of its own: git that hangs must hold nothing else up."""

    def __init__(self) -> None:
        self._looking = threading.Thread()
        self._stopping = threading.Event()
        self._rests_until = 0.0
        self._mains: Mains = {}

    def due(self) -> bool:
        """Tell whether it has rested and the last look has ended."""
        return time.monotonic() >= self._rests_until and not self._looking.is_alive()

    def start(self) -> None:
        """Look once; returns at once."""
        self._looking = threading.Thread(target=self._look, name="follower", daemon=True)
        self._looking.start()

    def stop(self) -> None:
        """Wait until the project in hand is done, or its repository gave no answer."""
        self._stopping.set()
        if self._looking.is_alive():
            self._looking.join()

    def _look(self) -> None:
        began = time.monotonic()
        try:
            follow(self._mains, stop=self._stopping.is_set)
        except DatabaseError as error:
            logger.warning("main is followed later: %s", error)
        except Exception:
            logger.exception("main could not be followed")
        finally:
            connection.close()
        took = time.monotonic() - began
        self._rests_until = time.monotonic() + max(LOOK_SECONDS, _RESTS * took)


def follow(mains: Mains, *, stop: Callable[[], bool] = lambda: False) -> int:
    """Put up again what was sealed on a main that has moved; return how many.

    Until `stop` says so: it is asked before each project. `mains` is what was found at the last look, and is brought up to date. Two processes may do this
    at once: each approval is put up again by one of them. A person who decides meanwhile wins.
    """
    count = 0
    for project in _projects():
        if stop():
            break
        if main := freshness.head_of(project):
            behind = list(_behind(project, main, moved=mains.get(project.pk) != main))
            mains[project.pk] = main
            count += sum(_put_up_again(approval, main) for approval in behind)
    return count


def _projects() -> QuerySet[Project]:
    """Return the projects with a repository where something waits for a signature, or again."""
    theirs = Approval.objects.filter(project=OuterRef("pk"))
    open_one = Exists(theirs.filter(state=ApprovalState.PENDING)) | Exists(_stale(theirs))
    return Project.objects.filter(open_one, archived_at=None).exclude(repository="")


def _stale(rows: QuerySet[Approval]) -> QuerySet[Approval]:
    return rows.filter(state=ApprovalState.STALE, replaced=False, task__state=TaskState.REVIEW)


def _behind(project: Project, main: str, *, moved: bool) -> Iterator[Approval]:
    """Go through what was sealed on another main, due first.

    Where main stands as it did at the last look, only what was sealed in the last minutes can be.
    """
    changes = Approval.objects.filter(project=project, proposal__kind=ProposalKind.CHANGE)
    sealed = changes.exclude(proposal__base_commit=main)
    since = Q() if moved else Q(pk__gt=new_since())
    pending = sealed.filter(since, state=ApprovalState.PENDING)
    for rows in (_stale(sealed), pending):
        found = rows.select_related("task__requester", "project").defer(*SEAL)
        yield from found.order_by("expires_at", "pk")[:AHEAD]


def _put_up_again(approval: Approval, main: str) -> bool:
    approval.task.project = approval.project
    try:
        with transaction.atomic():
            if approval.state == ApprovalState.PENDING:
                freshness.fall_stale(approval, main, by=None)
            rounds.propose_again(approval.task, by=None)
            reproposing.record("approval.proposed_again", approval, None, None, main=main)
    except CountersignError as error:
        logger.info("%s stays as it was sealed: %s", approval.pk, error)
        return False
    return True
