"""Reminds people when half of the time to decide is over, and at its end; time alone decides nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from agents.clocks import Frozen
from agents.events import Kind
from approvals import presence, routing
from approvals.lifecycle import ApprovalState
from approvals.models import SEAL_OF_APPROVAL, Approval, Remind, Reminder, Share
from approvals.requirements import Required
from projects import audit
from projects.models import User

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from approvals.requirements import Reminders

MOST = 100  # people told at a time


def plan(sealed: Sequence[Approval], now: datetime) -> None:
    """Write down when whom to remind, as it was sealed; in the transaction that seals."""
    Reminder.objects.bulk_create(row for each in sealed for row in _planned(each, now))


def remind_due(limit: int = 50) -> int:
    """Tell those who are to be reminded by now (database clock); return how many times.

    Two processes may do this at once: each reminder is told by one of them. While a hold stops the
    task, its time to decide stands still. What was decided meanwhile needs no reminder.
    """
    past = Reminder.objects.filter(told_at=None, due_at__lte=Now())
    _forget_over(past, limit)
    held = Frozen(
        task=F("approval__task_id"),
        project=F("approval__project_id"),
        since=F("approval__requested_at"),
    )
    due = past.filter(approval__state=ApprovalState.PENDING, due_at__lte=Now() - held)
    rows = due.select_related("approval__task__project").defer(*SEAL_OF_APPROVAL)
    return sum(_remind(row) for row in rows.order_by("due_at")[:limit])


def _planned(approval: Approval, now: datetime) -> list[Reminder]:
    terms = Required.sealed(approval.snapshot).reminders
    rows = []
    if terms.half != Remind.NOBODY:
        half = now + (approval.expires_at - now) / 2
        rows.append(Reminder(approval=approval, share=Share.HALF, due_at=half))
    if terms.extend_hours:
        more = timedelta(hours=terms.extend_hours)
        end = {"due_at": approval.expires_at, "extends": more}
        rows.append(Reminder(approval=approval, share=Share.END, **end))
    return rows


def _forget_over(past: QuerySet[Reminder], limit: int) -> None:
    over = past.exclude(approval__state=ApprovalState.PENDING).values("pk")[:limit]
    Reminder.objects.filter(pk__in=over).delete()


def _remind(row: Reminder) -> bool:
    approval = row.approval
    with transaction.atomic():
        waits = Approval.objects.filter(pk=approval.pk, state=ApprovalState.PENDING)
        if not waits.select_for_update(no_key=True).only("pk").exists():
            return False  # somebody decided in the last moment
        whom = _whom(row)
        told = Reminder.objects.filter(pk=row.pk, told_at=None)
        if not told.update(told_at=Now(), to=[person.pk for person in whom]):
            return False  # another worker was faster
        if whom or row.extends:
            _tell(row, whom)
    return True


def _whom(row: Reminder) -> list[User]:
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


def _names_people(row: Reminder, terms: Reminders) -> bool:
    if row.share == Share.END:
        return bool(terms.people)
    return terms.half == Remind.PEOPLE


def _tell(row: Reminder, whom: Sequence[User]) -> None:
    approval = row.approval
    facts = {"approval": str(approval.pk), "share": int(row.share)}
    approval.task.record(Kind.APPROVAL_REMINDED, {**facts, "to": [str(one.pk) for one in whom]})
    detail: dict[str, Any] = {"share": int(row.share), "to": [one.username for one in whom]}
    if row.extends:
        detail["extended_hours"] = row.extends // timedelta(hours=1)
    audit.record(
        "approval.reminded",
        subject=approval,
        actor=None,
        project=approval.task.project,
        task=approval.task.label,
        **detail,
    )
