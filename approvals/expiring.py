"""Ends approvals that nobody decided in time, or whose task is over; never approves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models.functions import Now

from agents.events import Kind
from agents.lifecycle import TASK_TERMINAL
from approvals.lifecycle import ApprovalState
from approvals.models import Approval
from projects.exceptions import TransitionRefused

if TYPE_CHECKING:
    from django.db.models import QuerySet

EXPIRED = "Nobody decided in time. Nothing was merged; ask for the decision again."
OVER = "The task ended before anybody decided."


def expire_due(limit: int = 50) -> int:
    """Move pending approvals past their time (database clock) to expired; return how many."""
    due = Approval.objects.filter(state=ApprovalState.PENDING, expires_at__lte=Now())
    return sum(_end(row, ApprovalState.EXPIRED, EXPIRED) for row in _some(due, limit))


def withdraw_orphans(limit: int = 50) -> int:
    """Withdraw pending approvals of tasks that are over; return how many."""
    orphans = Approval.objects.filter(
        state=ApprovalState.PENDING, task__state__in=sorted(TASK_TERMINAL)
    )
    return sum(_end(row, ApprovalState.WITHDRAWN, OVER) for row in _some(orphans, limit))


def _some(rows: QuerySet[Approval], limit: int) -> list[Approval]:
    return list(rows.select_related("task__project").defer("snapshot").order_by("id")[:limit])


def _end(approval: Approval, state: str, reason: str) -> bool:
    guard = {"expires_at__lte": Now()} if state == ApprovalState.EXPIRED else None
    try:
        with transaction.atomic():
            approval.move(state, guard=guard, decided_at=Now(), reason=reason)
            approval.task.record(
                Kind.APPROVAL_DECIDED,
                {"approval": str(approval.pk), "state": state, "reason": reason},
            )
    except TransitionRefused:
        return False  # somebody decided in the last moment
    return True
