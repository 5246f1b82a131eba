"""When the time to decide, and an undo window, are over: the time of a hold does not count, and the
sealed policy may put the end off once.

What was sealed stays as it is; the deadline that holds is computed, by the database's clock.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import (
    BooleanField,
    Case,
    DurationField,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Now

from agents import holds
from agents.clocks import Frozen
from approvals.lifecycle import EffectState
from approvals.models import Approval, CallApproval, CallReminder, Reminder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet
    from django.db.models.expressions import Combinable

    from approvals.models import Effect
    from approvals.rights import Decidable

    Reminders = type[Reminder | CallReminder]


def held_for() -> Frozen:
    """Return, for approvals and calls, the time holds took from the time to decide."""
    return Frozen(task=F("task_id"), project=F("project_id"), since=F("requested_at"))


def extension(reminders: Reminders = Reminder) -> Combinable:
    """Return, for approvals, by how much the sealed policy puts the end of the time to decide off.

    Of calls, `reminders` are theirs; so it is for all that follows.
    """
    rows = reminders.objects.filter(approval=OuterRef("pk"), extends__isnull=False)
    return Coalesce(Subquery(rows.values("extends")), Value(timedelta(), DurationField()))


def deciding_now(reminders: Reminders = Reminder) -> Combinable:
    """Return what `expires_at` of approvals is compared with: now, less the time that was added."""
    return Now() - held_for() - extension(reminders)


def added(reminders: Reminders = Reminder) -> Combinable:
    """Return, for approvals, the time added to `expires_at` so far: an extension once it is reached."""
    reached = When(expires_at__lte=Now() - held_for(), then=held_for() + extension(reminders))
    return Case(reached, default=held_for())


def window_now() -> Combinable:
    """Return what `not_before` of effects is compared with: now, less the held time.

    Without a join, so that a conditional UPDATE checks it on the very row it waited for. An effect
    that is planned again has no window; its time begins with `not_before`.
    """
    approval = Approval.objects.filter(pk=OuterRef("approval_id"))
    of = {name: Subquery(approval.values(name)) for name in ("task_id", "project_id", "decided_at")}
    began = Case(When(started_at__isnull=False, then=F("not_before")), default=of["decided_at"])
    return Now() - Frozen(task=of["task_id"], project=of["project_id"], since=began)


def with_deadline(rows: QuerySet[Any], reminders: Reminders = Reminder) -> QuerySet[Any]:
    """Return approvals with `until`, the moment until which each can be decided, as things are now."""
    found: QuerySet[Any] = rows.annotate(until=F("expires_at") + added(reminders))
    return found


def end_of(approval: Decidable) -> datetime:
    """Return until when it can be decided, as things are now."""
    return ends_of([approval])[approval.pk]


def ends_of(approvals: Sequence[Decidable]) -> dict[UUID, datetime]:
    """Return it of several by their keys, read together; they are all approvals, or all calls."""
    if not approvals:
        return {}
    kind = type(approvals[0])
    rows = kind._default_manager.filter(pk__in=[each.pk for each in approvals])
    reminders = CallReminder if kind is CallApproval else Reminder
    return dict(with_deadline(rows, reminders).values_list("pk", "until"))


def with_window(rows: QuerySet[Effect]) -> QuerySet[Any]:
    """Return effects with `undo_until`, as things are now, `may_be_undone`: whether each waits inside
    its window, or under a hold that keeps it from being sent, and the `hold_scope` of that."""
    paths = {"task": "approval__task_id", "project": "approval__project_id"}
    held = Q(holds.is_held(**paths))
    # One that was sent and is to be tried again may have landed.
    waits = Q(state=EffectState.PLANNED, sent_at=None) & (Q(not_before__gt=window_now()) | held)
    begun = Q(state=EffectState.DOING, sent_at=None) & held
    return rows.annotate(
        undo_until=F("not_before") + (Now() - window_now()),
        may_be_undone=ExpressionWrapper(waits | begun, output_field=BooleanField()),
        hold_scope=holds.scope_over(**paths),
    )


def database_now() -> datetime:
    """Return the database's clock; expiry never depends on the clock of a worker."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        now: datetime = cursor.fetchone()[0]
    return now
