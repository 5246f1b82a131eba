"""What is due sooner or later than some time from now.

Holds and extensions move the ends of few; an index has those that were sealed, so what was moved is
read by ranges of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import BooleanField, F, Func, Q, UUIDField, Value
from django.db.models.functions import Now

from agents.clocks import Frozen
from agents.models import Hold, HoldScope
from approvals import deadlines
from approvals.models import Reminder
from projects import across

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.models.holds import HoldQuerySet
    from approvals.deadlines import Reminders

MOST = timedelta(hours=2_160)  # for which a policy lets something wait


@dataclass(frozen=True, kw_only=True)
class Sooner:
    """What ends before `span` from now."""

    span: timedelta
    reminders: Reminders = Reminder

    @property
    def bounds(self) -> Q:
        """The condition on the deadline that was sealed: an index has it."""
        return Q(expires_at__lt=Now() + self.span)

    @property
    def where(self) -> Q:
        """What a hold or an extension leaves of those."""
        return Q(expires_at__lt=Now() + self.span - deadlines.added(self.reminders))


@dataclass(frozen=True, kw_only=True)
class Later:
    """What ends after `span` from now."""

    span: timedelta
    reminders: Reminders = Reminder

    @property
    def all(self) -> Q:
        """The condition at once, for a list that is short."""
        return self._sealed | self._moved

    @property
    def ways(self) -> Iterator[tuple[Q, Q]]:
        """Return the ranges it is read by, each with what else is asked; together they are all.

        What is past its sealed end and still waits was extended or held. Before it only a hold moves
        it: its task's, or one of the project or everything, which moves it no further than it lasts.
        """
        soon = Q(expires_at__gt=Now(), expires_at__lte=Now() + self.span)
        wide = Frozen(task=Value(None, UUIDField()), project=across.PROJECT, since=Now() - MOST)
        yield self._sealed, Q()
        yield Q(expires_at__lte=Now()), self._moved
        yield soon, _is_paused() & self._moved
        yield soon & Q(expires_at__gt=Now() + self.span - wide), self._moved

    @property
    def _sealed(self) -> Q:
        return Q(expires_at__gt=Now() + self.span)

    @property
    def _moved(self) -> Q:
        return Q(expires_at__gt=Now() + self.span - deadlines.added(self.reminders))


def _is_paused() -> Q:
    """Return the condition that a hold of the task may have moved its end.

    As an array, each is looked up: joined, all that is due soon is held against all of them.
    """
    keys = ArraySubquery(_paused().values("task"))
    return Q(
        Func(
            F("task_id"),
            keys,
            arg_joiner=" = ANY(",
            template="%(expressions)s)",
            output_field=BooleanField(),
        )
    )


def _paused() -> HoldQuerySet:
    """Return the holds of single tasks that may have stopped what is not due yet."""
    recent = Q(lifted_at=None) | Q(lifted_at__gt=Now() - MOST)
    return Hold.objects.filter(recent, scope=HoldScope.TASK, task__finished_at=None)
