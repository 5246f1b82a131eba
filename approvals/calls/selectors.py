"""Which calls of tools wait for a person, are put off, made or decided, as lists show and count them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from django.db.models import (
    BooleanField,
    Case,
    DateTimeField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    Subquery,
    When,
)
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Left, Now

from agents import takeovers
from agents.models import Escalation
from agents.models.tasks import Choice
from approvals import counting, deadlines, routing
from approvals.calls import windows
from approvals.lifecycle import CallState
from approvals.models import CallApproval, CallReminder, CallSignature, CallSnooze, StandingUse
from projects import across
from projects.across import Across
from projects.keyset import Order, Place
from projects.prepared import within
from projects.together import Ready

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any
    from uuid import UUID

    from django.db.models import QuerySet

    from agents.models import Task
    from projects.across import Either, Few, Mine
    from projects.models import User

SHOWN_OF_TASK = 3
GIVEN = 200  # characters of the arguments, in a list
BY_DUE = Order(moment="expires_at", newest_first=False)
NAMED = {
    "task_number": "task__number",
    "task_title": "task__title",
    **{f"agent_{name}": f"step__agent__{name}" for name in ("name", "colour", "icon")},
    **{f"by_{name}": f"decided_by__{name}" for name in ("username", "first_name", "last_name")},
    "held_by": "assignments__holder_id",
    "held_alone_until": "assignments__alone_until",
    **{
        f"held_by_{name}": f"assignments__holder__{name}"
        for name in ("username", "first_name", "last_name")
    },
}
_CALLED = Case(When(edited="", then=KeyTextTransform("arguments", "snapshot")), default=F("edited"))
_AT_WORK = (CallState.ALLOWED, CallState.CALLING)


@lru_cache(maxsize=across.PERSONS)
def waiting(person: UUID, mine: Mine) -> Across:
    """Return pending calls this person may decide on, has not allowed and has not put off, and no
    other sees to."""
    put_off = Q(pk__in=_asleep(person).values("approval"))
    rows = _to_decide(person, mine).filter(~put_off, ~routing.others_hold_calls(person))
    return Across(rows=rows, projects=mine.led)


def put_off(person: UUID, mine: Mine) -> QuerySet[CallApproval]:
    """Return those this person has put off: few, and found by the person."""
    asleep = {"snoozes__person": person, "snoozes__until__gt": Now()}
    return _to_decide(person, mine).filter(within("project", mine.led), **asleep)


def decided(mine: Mine) -> Across:
    """Return calls that needed permission and were decided, or ended undecided."""
    return Across(rows=_asked().filter(decided_at__isnull=False), projects=mine.projects)


@lru_cache(maxsize=across.PERSONS)
def at_work(person: UUID, mine: Mine) -> Across:  # whose first page is kept with it
    """Return calls that were allowed and have no answer yet: few, and an index has just them."""
    return Across(rows=_asked().filter(state__in=_AT_WORK), projects=mine.projects)


def decided_since(person: UUID, moment: datetime) -> QuerySet[CallApproval]:
    """Return what this person decided since a moment; not what was taken back, nor what a standing
    grant of theirs did."""
    mine = CallApproval.objects.filter(decided_by=person, decided_at__gte=moment)
    return mine.filter(standing_use=None).exclude(state=CallState.WITHDRAWN)


def page_of(
    listed: Across | Either | Few, user: User, *, order: Order, place: Place | None, limit: int
) -> Ready:
    """Return one page of calls and one more, in reading order, as a list shows them.

    Of what is sealed they carry only `tool_name`, `server`, what the policy asks, `policy`, and the
    beginning of the arguments, `given`, which are those a person put in their place, if one did;
    beside it `until` when each can be decided, whether it `may_be_undone` and `undo_until` when, until
    when this person has put it off, whether they `did_part` of its task, and by name what a row shows
    of its task, its agent and who decided: to read these beside them would be to look for the page once
    for each. Who reads it gives what the place is, `place.given`.
    """
    if not isinstance(listed, Across):
        return _page(listed, user, order=order, place=place, limit=limit)
    key = (page_of, user.pk, order, limit, place.back if place else None)
    marked = place.marked() if place else None
    return listed.kept(key, lambda: _page(listed, user, order=order, place=marked, limit=limit))


def _page(
    listed: Across | Either | Few, user: User, *, order: Order, place: Place | None, limit: int
) -> Ready:
    fields = order.fields(back=place is not None and place.back)
    rows = listed.filter(place.beyond(order)) if place else listed
    found = CallApproval.objects.filter(pk__among=rows.keys(fields, limit + 1))
    return Ready.of(_shown(found, user).order_by(*fields))


def neighbours(
    user: User, mine: Mine, call: CallApproval
) -> tuple[CallApproval | None, CallApproval | None]:
    """Return which call waits for this person just before and just after one, by due time."""
    listed = waiting(user.pk, mine)
    places = [Place(key=call.pk, moment=call.expires_at, back=back) for back in (True, False)]
    keys = [
        listed.filter(place.beyond(BY_DUE)).keys(BY_DUE.fields(back=place.back), 1)
        for place in places
    ]
    found = CallApproval.objects.filter(pk__among=across.either(*keys)).only("expires_at")
    before, after = None, None
    for row in found:
        if BY_DUE.key(row) < BY_DUE.key(call):
            before = row
        else:
            after = row
    return before, after


def of_task(task: Task) -> QuerySet[CallApproval]:
    """Return the first calls of a task that need permission, one more than its page shows."""
    rows = CallApproval.objects.filter(task=task, state=CallState.PENDING)
    return rows.order_by("id")[: SHOWN_OF_TASK + 1]


def undoable_of(task: Task, user: User) -> QuerySet[Any]:
    """Return the first calls of a task that were allowed and can be undone still, with `undo_until`
    and whether this person `did_part` of the task."""
    rows = CallApproval.objects.filter(windows.undoable(), task=task)
    tool = KeyTextTransform("tool", KeyTransform("call", "snapshot"))
    found: QuerySet[Any] = rows.annotate(
        tool_name=tool, did_part=takeovers.did_part(user, task="task_id")
    ).order_by("id")
    return windows.with_window(found).defer("snapshot", "edited", "reason")[:SHOWN_OF_TASK]


def _asked() -> QuerySet[CallApproval]:
    return CallApproval.objects.filter(free=False)


def _to_decide(person: UUID, mine: Mine) -> QuerySet[CallApproval]:
    took_over = Escalation.objects.filter(choice=Choice.TAKE_OVER, resolved_by=person)
    alone = Q(within("project", mine.singles), single_person=True)
    return CallApproval.objects.filter(
        counting.asks_again(CallSignature.objects.all(), person),
        ~Q(task__in=took_over.values("task")) | alone,
        ~Q(requester=person) | alone,
        Q(expires_at__gt=Now()) | Q(expires_at__gt=deadlines.deciding_now(CallReminder)),
        state=CallState.PENDING,
    )


def _asleep(person: UUID) -> QuerySet[CallSnooze]:
    return CallSnooze.objects.filter(person=person, until__gt=Now())


def _shown(rows: QuerySet[CallApproval], user: User) -> QuerySet[Any]:
    asleep = _asleep(user.pk).filter(approval=OuterRef("pk"))
    found: QuerySet[Any] = rows.annotate(
        tool_name=KeyTextTransform("tool", KeyTransform("call", "snapshot")),
        server=KeyTextTransform("server", KeyTransform("tool", "snapshot")),
        policy=KeyTransform("policy", "snapshot"),
        given=Left(_CALLED, GIVEN),
        changed=ExpressionWrapper(~Q(edited=""), output_field=BooleanField()),
        until=ExpressionWrapper(
            F("expires_at") + deadlines.added(CallReminder), output_field=DateTimeField()
        ),
        asleep_until=Subquery(asleep.values("until")),
        did_part=takeovers.did_part(user, task="task_id"),
        beforehand=Exists(StandingUse.objects.filter(approval=OuterRef("pk"))),
        **{name: F(path) for name, path in NAMED.items()},
    )
    return windows.with_window(found).defer("snapshot", "edited", "reason")
