"""Ends approvals that nobody decided in time, or whose task is over; never approves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from agents.events import Kind
from agents.lifecycle import TASK_TERMINAL
from agents.models import Task
from approvals import deadlines
from approvals.lifecycle import ApprovalState, EffectState
from approvals.models import SEAL, Approval, Effect
from approvals.undoing import UNSENT
from projects import audit
from projects.exceptions import TransitionRefused

if TYPE_CHECKING:
    import uuid

    from django.db.models import QuerySet

EXPIRED = "Nobody decided in time. Nothing was merged; ask for the decision again."
OVER = "The task ended before anything was carried out."


def expire_due(limit: int = 50) -> int:
    """Move pending approvals past their time (database clock) to expired; return how many.

    While a hold stops the task, its time to decide stands still.
    """
    # The plain condition has an index.
    past = Approval.objects.filter(state=ApprovalState.PENDING, expires_at__lte=Now())
    due = past.filter(expires_at__lte=deadlines.deciding_now())
    rows = _some(due, limit, order="expires_at")
    return sum(_end(row, ApprovalState.EXPIRED, EXPIRED) for row in rows)


class Orphans:
    """Finds what still stands of tasks that are over: of what waits for a signature a part at a time."""

    def __init__(self) -> None:
        self._behind: uuid.UUID | None = None  # the task the next part begins behind

    def withdraw(self, limit: int = 50) -> int:
        """Withdraw it; return how many approvals.

        An approval whose effect was done, or may have been, stays as it is: it says what happened.
        """
        found = [*self._pending(), *_untouched(limit)][:limit]
        rows = _some(Approval.objects.filter(pk__in=found), limit, order="id")
        return sum(_end(row, ApprovalState.WITHDRAWN, OVER) for row in rows)

    def _pending(self) -> list[uuid.UUID]:
        pending = Approval.objects.filter(state=ApprovalState.PENDING)
        if self._behind is not None:
            pending = pending.filter(task__gt=self._behind)
        part = list(pending.order_by("task").values_list("pk", "task")[:PART])
        self._behind = part[-1][1] if len(part) == PART else None
        over = Task.objects.filter(pk__in=[task for _, task in part], state__in=TASK_TERMINAL)
        ended = set(over.values_list("pk", flat=True))
        return [key for key, task in part if task in ended]


def withdraw_orphans(limit: int = 50) -> int:
    """Withdraw what still stands of tasks that are over, once; return how many approvals."""
    return Orphans().withdraw(limit)


def _untouched(limit: int) -> list[uuid.UUID]:
    """Return approved approvals none of whose effects can have been done, of tasks that are over.

    From the effects on: those that are neither done nor begun are few.
    """
    # What was sent and is to be tried again may have landed.
    undone = Q(state__in=[EffectState.FAILED, EffectState.WITHDRAWN])
    unsent = Q(state=EffectState.PLANNED, **UNSENT)
    touched = Effect.objects.filter(approval=OuterRef("approval")).exclude(undone | unsent)
    left = Effect.objects.filter(
        ~Exists(touched),
        state__in=[EffectState.PLANNED, EffectState.FAILED],
        approval__state=ApprovalState.APPROVED,
        approval__task__state__in=sorted(TASK_TERMINAL),
    )
    return list(left.values_list("approval", flat=True)[:limit])


PART = 1_000  # of what waits, looked at in one turn


def _some(rows: QuerySet[Approval], limit: int, *, order: str) -> list[Approval]:
    return list(rows.select_related("task__project").defer(*SEAL).order_by(order)[:limit])


def _end(approval: Approval, state: str, reason: str) -> bool:
    overdue = {"expires_at__lte": deadlines.deciding_now()}
    guard = overdue if state == ApprovalState.EXPIRED else None
    undecided = {"decided_at": Now()} if approval.state == ApprovalState.PENDING else {}
    try:
        with transaction.atomic():
            approval.move(state, guard=guard, reason=reason, **undecided)
            for effect in approval.effects.filter(state=EffectState.PLANNED).order_by("id"):
                effect.move(EffectState.WITHDRAWN, guard=UNSENT, finished_at=Now())
            approval.task.record(
                Kind.APPROVAL_DECIDED,
                {"approval": str(approval.pk), "state": state, "reason": reason},
            )
            audit.record(
                f"approval.{state}",
                subject=approval,
                actor=None,
                project=approval.task.project,
                task=approval.task.label,
            )
    except TransitionRefused:
        return False  # somebody decided, or an effect began, in the last moment
    return True
