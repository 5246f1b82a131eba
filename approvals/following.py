"""Follows main: what was sealed on a main that has moved is merged onto the new one, unasked."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import DatabaseError, connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from agents import holds, rounds
from agents.lifecycle import TaskState
from agents.models import Proposal, Task
from agents.models.proposals import ProposalKind
from approvals import deadlines, freshness, reproposing
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
AHEAD = 20  # of one project under way at a time, those due first: each is merged and checked anew
# Where main moves faster than checks run, nothing could be signed: each version waits twice as long.
FIRST_WAIT, LONGEST_WAIT = 5.0, 3_600.0  # seconds
_RESTS = 2  # times as long as a look took
_STOP_SECONDS = 5.0

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
        """Wait until the project in hand is done, but for a database that does not answer."""
        self._stopping.set()
        if self._looking.is_alive():
            self._looking.join(_STOP_SECONDS)

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

    Until `stop` says so: it is asked before each project. `mains` is where nothing was left behind at
    the last look, and is brought up to date. Two processes may do this at once: each approval is put
    up again by one of them. A person who decides meanwhile wins.
    """
    count = 0
    for project in _projects():
        if stop():
            break
        if main := freshness.head_of(project):
            count += _follow(project, main, mains)
    return count


def _projects() -> QuerySet[Project]:
    """Return the projects with a repository where something waits for a signature, or again."""
    theirs = Approval.objects.filter(project=OuterRef("pk"))
    open_one = Exists(theirs.filter(state=ApprovalState.PENDING)) | Exists(_stale(theirs))
    return Project.objects.filter(open_one, archived_at=None).exclude(repository="")


def _follow(project: Project, main: str, mains: Mains) -> int:
    behind = list(_behind(project, main, moved=mains.get(project.pk) != main))
    if not behind:
        mains[project.pk] = main
        return 0
    mains.pop(project.pk, None)  # until nothing is left behind, all is looked at
    room = AHEAD - _under_way(project)
    ready = [approval for approval in behind if _has_waited(approval)][: max(0, room)]
    # Main set back to before the seal: what somebody took from it would come back with the change.
    bases = {approval.proposal.base_commit for approval in ready}
    fine = {base for base in bases if freshness.builds_on(project, base)}
    followed = (each for each in ready if each.proposal.base_commit in fine)
    return sum(_put_up_again(approval, main) for approval in followed)


def _stale(rows: QuerySet[Approval]) -> QuerySet[Approval]:
    fallen = rows.filter(state=ApprovalState.STALE, main_moved=True, replaced=False)
    return fallen.filter(task__state=TaskState.REVIEW)


def _behind(project: Project, main: str, *, moved: bool) -> Iterator[Approval]:
    """Go through what was sealed on another main and nobody holds, due first.

    Where nothing was left behind at the last look, only what was sealed in the last minutes can be.
    """
    changes = Approval.objects.filter(project=project, proposal__kind=ProposalKind.CHANGE)
    free = ~holds.is_held(task="task", project="project")
    sealed = changes.filter(free).exclude(proposal__base_commit=main)
    since = Q() if moved else Q(pk__gt=new_since())
    in_time = Q(expires_at__gt=deadlines.deciding_now())
    pending = sealed.filter(since, in_time, state=ApprovalState.PENDING)
    for rows in (_stale(sealed), pending):
        found = rows.select_related("task__requester", "project", "proposal").defer(*SEAL)
        yield from found.order_by("expires_at", "pk")[:_LOOKED_AT]


_LOOKED_AT = 10 * AHEAD  # some of them may have to wait


def _under_way(project: Project) -> int:
    """Return how many of a project are being merged and checked anew."""
    fallen = Approval.objects.filter(
        project=project, state=ApprovalState.STALE, main_moved=True, replaced=False
    )
    return fallen.filter(task__state__in=[TaskState.WORKING, TaskState.ASSEMBLING]).count()


def _has_waited(approval: Approval) -> bool:
    """Tell whether this version was there long enough to be signed."""
    wait = min(FIRST_WAIT * 2 ** (approval.proposal.version - 1), LONGEST_WAIT)
    return timezone.now() - approval.requested_at >= timedelta(seconds=wait)


def _put_up_again(approval: Approval, main: str) -> bool:
    try:
        with transaction.atomic():
            if not _still_newest(approval):
                return False
            if approval.state == ApprovalState.PENDING:
                freshness.fall_stale(approval, main, by=None)
            rounds.propose_again(approval.task, by=None)
            reproposing.record("approval.proposed_again", approval, None, None, main=main)
    except CountersignError as error:
        logger.info("%s stays as it was sealed: %s", approval.pk, error)
        return False
    return True


def _still_newest(approval: Approval) -> bool:
    """Lock the task and tell whether the approval is as it was read, and no newer version is there.

    One that was published and not yet sealed would be thrown away, and its seal would go on waiting.
    """
    locked = Task.objects.select_for_update(no_key=True).filter(pk=approval.task_id)
    task = locked.select_related("requester").first()
    if task is None or task.state != TaskState.REVIEW:
        return False
    task.project = approval.project
    approval.task = task
    newer = Proposal.objects.filter(task=task, pk__gt=approval.proposal_id)
    same = Approval.objects.filter(pk=approval.pk, state=approval.state, replaced=False)
    return same.exists() and not newer.exists()
