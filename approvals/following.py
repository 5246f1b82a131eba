"""Follows main: what was sealed on a main that has moved is merged onto the new one, unasked."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from agents import holds, rounds
from agents.lifecycle import StepKind, StepState, TaskState
from agents.models import Hold, HoldScope, Proposal, Step, Task
from agents.models.proposals import ProposalKind
from approvals import deadlines, freshness, reproposing, snoozing
from approvals.lifecycle import ApprovalState, EffectState
from approvals.models import SEAL, Approval, Effect
from approvals.sealing import new_since
from projects.exceptions import CountersignError
from projects.failpoints import failpoint
from projects.models import Project

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterable

    from django.db.models import QuerySet

logger = logging.getLogger(__name__)

AHEAD = 20  # of one project under way at a time, those due first: each is merged and checked anew
# Where main moves faster than checks run, nothing could be signed: each version waits twice as long.
FIRST_WAIT, LONGEST_WAIT = 5.0, 3_600.0  # seconds

Mains = dict["uuid.UUID", str]


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
    snoozing.main_moved(project, main)
    behind = _behind(project, main, moved=mains.get(project.pk) != main)
    bases = {base for rows in behind for base in _bases(rows)}
    if not bases and not _held(project):
        mains[project.pk] = main
        return 0
    mains.pop(project.pk, None)  # until nothing is left behind or held, all is looked at
    # Main set back to before the seal: what somebody took from it would come back with the change.
    fine = freshness.contained(project, bases) if bases else set()
    if fine is None:
        logger.warning("%s: main was not fetched in time; it is followed later", project.slug)
        return 0
    room = max(0, AHEAD - _under_way(project))
    found = (each for rows in behind for each in _due_first(rows, fine) if _has_waited(each))
    return _put_up_all(found, room, project, main)


def _put_up_all(found: Iterable[Approval], room: int, project: Project, main: str) -> int:
    """Put up again so many of what was found; of what had been approved one at a time.

    Its signatures hold and it lands at once: all others would be merged and checked for nothing.
    """
    tried = count = 0
    landing = _lands(project)
    for approval in found:
        if tried == room:
            break
        approved = approval.decided_by_id is not None
        if approved and landing:
            continue
        tried += 1
        put_up = _put_up_again(approval, main)
        count += put_up
        landing = landing or (approved and put_up)
    return count


def _lands(project: Project) -> bool:
    """Tell whether a change that had been approved is on its way to main again, and nothing stops it."""
    free = ~holds.is_held(task="task", project="project")
    merging = Step.objects.filter(
        task=OuterRef("task"), kind=StepKind.ASSEMBLE, state__in=[StepState.READY, StepState.LEASED]
    )
    fallen = _fallen(project).filter(free, Exists(merging), decided_by__isnull=False)
    due = Effect.objects.filter(
        approval=OuterRef("pk"),
        state__in=[EffectState.PLANNED, EffectState.DOING],
        not_before__lte=Now(),
    )
    carried = Approval.objects.filter(
        free, Exists(due), project=project, state=ApprovalState.APPROVED, follows__isnull=False
    )
    return fallen.exists() or carried.exists()


def _stale(rows: QuerySet[Approval]) -> QuerySet[Approval]:
    fallen = rows.filter(state=ApprovalState.STALE, main_moved=True, replaced=False)
    return fallen.filter(task__state=TaskState.REVIEW)


def _behind(project: Project, main: str, *, moved: bool) -> tuple[QuerySet[Approval], ...]:
    """Return what was sealed on another main and nobody holds: stale for that, and pending.

    Where nothing was left behind at the last look, only what was sealed in the last minutes can be.
    """
    changes = Approval.objects.filter(project=project, proposal__kind=ProposalKind.CHANGE)
    free = ~holds.is_held(task="task", project="project")
    sealed = changes.filter(free).exclude(proposal__base_commit=main)
    since = Q() if moved else Q(pk__gt=new_since())
    in_time = Q(expires_at__gt=deadlines.deciding_now())
    return _stale(sealed), sealed.filter(since, in_time, state=ApprovalState.PENDING)


def _bases(rows: QuerySet[Approval]) -> QuerySet[Approval, str]:
    return rows.order_by().values_list("proposal__base_commit", flat=True).distinct()


def _due_first(rows: QuerySet[Approval], bases: set[str]) -> QuerySet[Approval]:
    found = rows.filter(proposal__base_commit__in=bases).order_by("expires_at", "pk")
    # More than there is room for: some may have to wait.
    return found.select_related("project", "proposal").defer(*SEAL)[: 10 * AHEAD]


def _held(project: Project) -> bool:
    theirs = Q(project=project) | Q(task__project=project)
    return Hold.objects.open().filter(theirs | Q(scope=HoldScope.EVERYTHING)).exists()


def _under_way(project: Project) -> int:
    """Return how many of a project are being merged and checked anew."""
    return _fallen(project).count()


def _fallen(project: Project) -> QuerySet[Approval]:
    """Return what fell stale and is at agents again."""
    fallen = Approval.objects.filter(
        project=project, state=ApprovalState.STALE, main_moved=True, replaced=False
    )
    return fallen.filter(task__state__in=[TaskState.WORKING, TaskState.ASSEMBLING])


def _has_waited(approval: Approval) -> bool:
    """Tell whether this version was there long enough to be signed, if it was not."""
    if approval.decided_by_id is not None:
        return True
    doubled = min(approval.proposal.version - 1, _DOUBLED)
    wait = min(FIRST_WAIT * 2**doubled, LONGEST_WAIT)
    return timezone.now() - approval.requested_at >= timedelta(seconds=wait)


_DOUBLED = 10  # times; by then it is the longest


def _put_up_again(approval: Approval, main: str) -> bool:
    try:
        with transaction.atomic():
            if not _lock_newest(approval):
                return False
            if approval.state == ApprovalState.PENDING:
                freshness.fall_stale(approval, main, by=None)
            rounds.propose_again(approval.task, by=None)
            reproposing.record("approval.proposed_again", approval, None, None, main=main)
            failpoint("follow.written")
    except CountersignError as error:
        logger.info("%s stays as it was sealed: %s", approval.pk, error)
        return False
    failpoint("follow.committed")
    return True


def _lock_newest(approval: Approval) -> bool:
    """Lock the approval, then its task, as a decision does; tell whether it is still as it was read,
    and the newest. A version that was published and not yet sealed would be thrown away.
    """
    same = Approval.objects.filter(pk=approval.pk, state=approval.state, replaced=False)
    if not same.select_for_update(no_key=True).only("pk").exists():
        return False
    locked = Task.objects.select_for_update(no_key=True, of=("self",)).select_related("requester")
    task = locked.filter(pk=approval.task_id, state=TaskState.REVIEW).first()
    if task is None:
        return False
    task.project = approval.project
    approval.task = task
    return not Proposal.objects.filter(task=task, pk__gt=approval.proposal_id).exists()
