"""Reminds people when half of the time to decide is over, and at its end; time alone decides nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import F, Q
from django.db.models.functions import Now

from agents.clocks import Frozen
from agents.events import Kind
from approvals import acts, deadlines, presence, routing
from approvals.exceptions import DecisionConflict
from approvals.lifecycle import ApprovalState, CallState
from approvals.models import (
    SEAL_OF_APPROVAL,
    Approval,
    CallApproval,
    CallReminder,
    Remind,
    Reminder,
    Share,
)
from approvals.requirements import Required
from projects.models import User

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from approvals.requirements import Reminders
    from approvals.rights import Decidable

    AnyReminder = Reminder | CallReminder

MOST = 100  # people told at a time


def plan(sealed: Sequence[Approval], now: datetime) -> None:
    """Write down when whom to remind, as it was sealed; in the transaction that seals."""
    Reminder.objects.bulk_create(
        Reminder(approval=each, **facts) for each in sealed for facts in _planned(each, now)
    )


def plan_call(call: CallApproval, now: datetime) -> None:
    """Do the same for a call that asks for permission."""
    planned = _planned(call, now)
    CallReminder.objects.bulk_create(CallReminder(approval=call, **facts) for facts in planned)


def remind_due(limit: int = 50) -> int:
    """Tell those who are to be reminded by now (database clock); return how many times.

    Two processes may do this at once: each reminder is told by one of them. While a hold stops the
    task, its time to decide stands still. What was decided meanwhile needs no reminder.
    """
    approvals = Reminder.objects.defer(*SEAL_OF_APPROVAL)
    calls = CallReminder.objects.defer("approval__snapshot")
    return _due(approvals, ApprovalState.PENDING, limit) + _due(calls, CallState.PENDING, limit)


def _due(rows: QuerySet[Any], state: str, limit: int) -> int:
    waits = {"approval__state": state}
    past = rows.filter(told_at=None, due_at__lte=Now())
    over = past.exclude(**waits).values("pk")[:limit]
    rows.model.objects.filter(pk__in=over).delete()
    held = Frozen(
        task=F("approval__task_id"),
        project=F("approval__project_id"),
        since=F("approval__requested_at"),
    )
    due = past.filter(**waits, due_at__lte=Now() - held)
    due = due.select_related("approval__task__project", "approval__project")
    return sum(_remind(row) for row in due.order_by("due_at")[:limit])


def _planned(approval: Decidable, now: datetime) -> Iterator[dict[str, Any]]:
    terms = Required.sealed(approval.snapshot).reminders
    if terms.half != Remind.NOBODY:
        yield {"share": Share.HALF, "due_at": now + (approval.expires_at - now) / 2}
    if terms.extend_hours:
        more = timedelta(hours=terms.extend_hours)
        yield {"share": Share.END, "due_at": approval.expires_at, "extends": more}


def _remind(row: AnyReminder) -> bool:
    try:
        with routing.waiting(row.approval):
            whom = _whom(row)
            told = type(row).objects.filter(pk=row.pk, told_at=None)
            if not told.update(told_at=Now(), to=[person.pk for person in whom]):
                return False  # another worker was faster
            if whom or row.extends:
                _tell(row, whom)
    except DecisionConflict:
        return False  # somebody decided in the last moment
    return True


def _whom(row: AnyReminder) -> list[User]:
    """Return who is to be told: those the policy named and who stands in for them, or all who may
    sign and have not."""
    terms = Required.sealed(row.approval.snapshot).reminders
    if _names_people(row, terms):
        project = row.approval.project_id
        stand_ins = presence.in_force().filter(person__in=list(terms.people), project=project)
        members = User.objects.filter(
            Q(pk__in=list(terms.people)) | Q(pk__in=stand_ins.values("delegate")),
            is_active=True,
            memberships__project=project,
        )
        return list(members.order_by("username")[:MOST])
    return list(routing.candidates(row.approval)[:MOST])


def _names_people(row: AnyReminder, terms: Reminders) -> bool:
    if row.share == Share.END:
        return bool(terms.people)
    return terms.half == Remind.PEOPLE


def _tell(row: AnyReminder, whom: Sequence[User]) -> None:
    approval = row.approval
    facts: dict[str, Any] = {"approval": str(approval.pk), "share": int(row.share)}
    if row.extends:
        facts["until"] = deadlines.end_of(approval).isoformat()
    approval.task.record(Kind.APPROVAL_REMINDED, {**facts, "to": [str(one.pk) for one in whom]})
    detail: dict[str, Any] = {"share": int(row.share), "to": [one.username for one in whom]}
    if row.extends:
        detail["extended_hours"] = row.extends // timedelta(hours=1)
    acts.record("reminded", approval, None, task=approval.task.label, **detail)
