"""Which calls of tools wait for a person, as the inbox lists and counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Left, Now

from agents.models import Escalation
from agents.models.tasks import Choice
from approvals import deadlines
from approvals.lifecycle import CallState
from approvals.models import CallApproval
from projects.across import Across
from projects.keyset import Order

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from agents.models import Task
    from projects.across import Mine
    from projects.models import User

SHOWN_OF_TASK = 3
GIVEN = 200  # characters of the arguments, in a list
_BY_DUE = Order(moment="expires_at", newest_first=False)


def waiting(user: User, mine: Mine) -> Across:
    """Return pending calls this person may decide on."""
    took_over = Escalation.objects.filter(choice=Choice.TAKE_OVER, resolved_by=user)
    singles = [project.pk for project in mine.named if project.single_person]
    alone = Q(single_person=True, project__in=singles)
    rows = CallApproval.objects.filter(
        ~Q(task__in=took_over.values("task")) | alone,
        ~Q(requester=user) | alone,
        Q(expires_at__gt=Now()) | Q(expires_at__gt=deadlines.deciding_now()),
        state=CallState.PENDING,
    )
    return Across(rows=rows, projects=mine.led)


def first(user: User, mine: Mine, limit: int) -> QuerySet[CallApproval]:
    """Return the first calls that wait for this person, by due time, as a list shows them.

    Of what is sealed they carry only `tool_name`, `server` and the beginning of the arguments, `given`.
    """
    order = _BY_DUE.fields()
    found = CallApproval.objects.filter(pk__in=waiting(user, mine).keys(order, limit))
    rows = found.annotate(
        tool_name=KeyTextTransform("tool", KeyTransform("call", "snapshot")),
        server=KeyTextTransform("server", KeyTransform("tool", "snapshot")),
        given=Left(KeyTextTransform("arguments", "snapshot"), GIVEN),
    )
    return rows.defer("snapshot", "edited", "reason").order_by(*order)


def of_task(task: Task) -> QuerySet[CallApproval]:
    """Return the first calls of a task that need permission, one more than its page shows."""
    rows = CallApproval.objects.filter(task=task, state=CallState.PENDING)
    return rows.order_by("id")[: SHOWN_OF_TASK + 1]
