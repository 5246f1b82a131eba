"""Ends approvals that nobody decided in time, or whose task is over; never approves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from agents.events import Kind
from agents.lifecycle import TASK_TERMINAL
from approvals import deadlines
from approvals.lifecycle import ApprovalState, EffectState
from approvals.models import Approval, Effect
from projects import audit
from projects.exceptions import TransitionRefused

if TYPE_CHECKING:
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
    return sum(_end(row, ApprovalState.EXPIRED, EXPIRED) for row in _some(due, limit))


def withdraw_orphans(limit: int = 50) -> int:
    """Withdraw what still stands of tasks that are over; return how many approvals.

    An approval whose effect was done, or may have been, stays as it is: it says what happened.
    """
    over = Approval.objects.filter(task__state__in=sorted(TASK_TERMINAL))
    pending = _some(over.filter(state=ApprovalState.PENDING), limit)
    touched = Effect.objects.filter(approval=OuterRef("pk")).exclude(
        state__in=[EffectState.PLANNED, EffectState.FAILED, EffectState.WITHDRAWN]
    )
    approved = _some(over.filter(~Exists(touched), state=ApprovalState.APPROVED), limit)
    return sum(_end(row, ApprovalState.WITHDRAWN, OVER) for row in (*pending, *approved))


def _some(rows: QuerySet[Approval], limit: int) -> list[Approval]:
    return list(rows.select_related("task__project").defer("snapshot").order_by("id")[:limit])


def _end(approval: Approval, state: str, reason: str) -> bool:
    overdue = {"expires_at__lte": deadlines.deciding_now()}
    guard = overdue if state == ApprovalState.EXPIRED else None
    undecided = {"decided_at": Now()} if approval.state == ApprovalState.PENDING else {}
    try:
        with transaction.atomic():
            approval.move(state, guard=guard, reason=reason, **undecided)
            for effect in approval.effects.filter(state=EffectState.PLANNED).order_by("id"):
                effect.move(EffectState.WITHDRAWN, finished_at=Now())
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
