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
from django.db.models.functions import Greatest, Now

from agents import holds
from agents.clocks import Frozen
from approvals.lifecycle import CallState
from approvals.models import CallApproval, StandingUse

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.db.models.expressions import Combinable

# What makes calls wait.
_STOPS = {"task": "task_id", "project": "project_id", "agent": "step__agent_id"}
_SECONDS = "make_interval(secs => coalesce((%(expressions)s)::int, 0))"


def is_over() -> dict[str, Any]:
    """Return the condition that nobody can undo it any more, for a conditional UPDATE."""
    return {"decided_at__lte": _began_before()}


def is_open() -> dict[str, Any]:
    """Return the condition that its window is open; together with `is_over` one of them holds."""
    return {"decided_at__gt": _began_before()}


def undoable() -> Q:
    """Return the condition that its permission can be taken back: nothing was called, and it waits
    inside its window or under a hold.

    An agent's hold stops no window, and yet keeps the call from being made; so does a hold what a
    worker has begun and not sent.
    """
    allowed, unsent = Q(state=CallState.ALLOWED), Q(state=CallState.CALLING, sent_at=None)
    decided = Q(free=False) & ~Q(_let_through())  # by a person, for this call
    held = (allowed | unsent) & decided & Q(holds.is_held(**_STOPS))
    return (allowed & Q(**is_open())) | held


def keeps_back() -> Q:
    """Return the condition that a standing grant made with it lets nothing through yet.

    While it can be undone; inside its window in any state, since a call whose step was stopped does
    not bring the grant into force sooner.
    """
    return Q(**is_open()) | undoable()


def with_window(rows: QuerySet[CallApproval]) -> QuerySet[Any]:
    """Return calls with `undo_until`, as things are now, `may_be_undone`: whether each is `undoable`,
    and `hold_scope`: of the hold that keeps it from being called, if there is one."""
    end = ExpressionWrapper(F("decided_at") + _sealed() + _held_for(), output_field=DateTimeField())
    return rows.annotate(
        undo_until=Greatest(end, Now()),
        may_be_undone=ExpressionWrapper(undoable(), output_field=BooleanField()),
        hold_scope=holds.scope_over(**_STOPS),
    )


def _began_before() -> Combinable:
    return Now() - _held_for() - _sealed()


def _held_for() -> Frozen:
    return Frozen(task=F("task_id"), project=F("project_id"), since=F("decided_at"))


def _sealed() -> Combinable:
    """Return its length; a call that a standing grant let through has none."""
    seconds = KT("snapshot__policy__undo_seconds")
    sealed = Func(seconds, template=_SECONDS, output_field=DurationField())
    none = Value(timedelta(), output_field=DurationField())
    return Case(When(_let_through(), then=none), default=sealed)


def _let_through() -> Exists:
    return Exists(StandingUse.objects.filter(approval=OuterRef("pk")))
