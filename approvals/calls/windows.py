"""The undo window of an allowed call: how long it was sealed to be, and when it ends as things are.

By the database's clock, from the last permission on; the time of holds does not count.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import (
    BooleanField,
    Case,
    DateTimeField,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    Func,
    OuterRef,
    Q,
    Value,
    When,
)
from django.db.models.fields.json import KT
from django.db.models.functions import Now

from agents import holds
from agents.clocks import Frozen
from approvals.lifecycle import CallState
from approvals.models import CallApproval, StandingUse

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.db.models.expressions import Combinable

_SECONDS = "make_interval(secs => coalesce((%(expressions)s)::int, 0))"


def is_over() -> dict[str, Any]:
    """Return the condition that nobody can undo it any more, for a conditional UPDATE."""
    return {"decided_at__lte": _began_before()}


def is_open() -> dict[str, Any]:
    """Return the condition that it can be undone still; together with `is_over` one of them holds."""
    return {"decided_at__gt": _began_before()}


def with_window(rows: QuerySet[CallApproval]) -> QuerySet[Any]:
    """Return calls with `undo_until`, as things are now, `may_be_undone`: whether each waits inside
    its window, and `hold_scope`: of the hold under which that stands still, if there is one."""
    waits = Q(state=CallState.ALLOWED, **is_open())
    return rows.annotate(
        undo_until=ExpressionWrapper(
            F("decided_at") + _sealed() + _held_for(), output_field=DateTimeField()
        ),
        may_be_undone=ExpressionWrapper(waits, output_field=BooleanField()),
        hold_scope=holds.scope_over(task="task_id", project="project_id"),
    )


def _began_before() -> Combinable:
    return Now() - _held_for() - _sealed()


def _held_for() -> Frozen:
    return Frozen(task=F("task_id"), project=F("project_id"), since=F("decided_at"))


def _sealed() -> Combinable:
    """Return its length; a call that a standing grant let through has none."""
    let_through = Exists(StandingUse.objects.filter(approval=OuterRef("pk")))
    seconds = KT("snapshot__policy__undo_seconds")
    sealed = Func(seconds, template=_SECONDS, output_field=DurationField())
    none = Value(timedelta(), output_field=DurationField())
    return Case(When(let_through, then=none), default=sealed)
