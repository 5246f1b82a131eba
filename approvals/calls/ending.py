"""Ends calls that nobody decided in time, or whose step was stopped; never allows one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Q
from django.db.models.functions import Now

from agents import permitting
from agents.lifecycle import CALL_OPEN, StepState, ToolCallState
from approvals import deadlines
from approvals.calls.sealing import facts_of
from approvals.lifecycle import CallState
from approvals.models import AtExpiry, CallApproval, CallReminder
from approvals.requirements import Required
from projects import audit
from projects.exceptions import TransitionRefused

if TYPE_CHECKING:
    import uuid

    from django.db.models import QuerySet

EXPIRED = "Nobody decided in time, so this was not called. Go on without it, or ask again."
_OVER = (StepState.DONE, StepState.CANCELLED)
_STOPPED = "Its step was stopped before it was called."


def expire_due(limit: int = 50) -> int:
    """Refuse pending calls past their time (database clock); return how many.

    The agents go on, or a person is asked how, as the policy said when they were sealed.
    """
    # The plain condition has an index.
    past = CallApproval.objects.filter(state=CallState.PENDING, expires_at__lte=Now())
    due = past.filter(expires_at__lte=deadlines.deciding_now(CallReminder))
    return sum(_expire(row) for row in _some(due.order_by("expires_at"), limit))


def withdraw_stopped(limit: int = 50) -> int:
    """Withdraw calls that were not sent and whose step was stopped; return how many.

    The ledger marks them, so it costs nothing while there are none.
    """
    return sum(_close(call) for call in permitting.withdrawn(limit))


def withdraw_left(limit: int = 50) -> int:
    """Withdraw calls whose step is over and that no mark tells of; walks all that wait."""
    gone = _unsent().filter(~Q(call__state__in=CALL_OPEN) | Q(step__state__in=_OVER))
    return sum(_withdraw(row) for row in _some(gone.order_by("id"), limit))


def _unsent() -> QuerySet[CallApproval]:
    begun = Q(state=CallState.CALLING, sent_at=None)
    return CallApproval.objects.filter(Q(state__in=[CallState.PENDING, CallState.ALLOWED]) | begun)


def _some(rows: QuerySet[CallApproval], limit: int) -> list[CallApproval]:
    return list(rows.select_related("task__project", "call")[:limit])


def _expire(row: CallApproval) -> bool:
    try:
        with permitting.held(row.call_id) as held:
            overdue = {"expires_at__lte": deadlines.deciding_now(CallReminder)}
            row.move(CallState.EXPIRED, guard=overdue, decided_at=Now(), reason=EXPIRED)
            if held.call.state == ToolCallState.ASKED:
                asks = Required.sealed(row.snapshot).at_expiry == AtExpiry.ASK
                permitting.decline(held, facts_of(row), EXPIRED, asks=asks)
            _audit(row)
    except TransitionRefused:
        return False  # somebody decided in the last moment
    return True


def _close(call: uuid.UUID) -> bool:
    """Withdraw what asks for a call, if it was not sent: of one that was, its maker tells."""
    found = _some(_unsent().filter(call=call), 1)
    closed = bool(found) and _withdraw(found[0])
    permitting.notice(call)
    return closed


def _withdraw(row: CallApproval) -> bool:
    undecided: dict[str, Any] = {"decided_at": Now()} if row.state == CallState.PENDING else {}
    try:
        with permitting.held(row.call_id) as held:
            if not held.stopped:
                return False
            row.move(CallState.WITHDRAWN, guard={"sent_at": None}, reason=_STOPPED, **undecided)
            permitting.withdraw(held)
            _audit(row)
    except TransitionRefused:
        return False
    return True


def _audit(row: CallApproval) -> None:
    audit.record(
        f"call.{row.state}",
        subject=row,
        actor=None,
        project=row.task.project,
        task=row.task.label,
    )
