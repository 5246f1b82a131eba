"""What the review inbox asks: whose turn it is, in which order, and how many.

Every list is read across the projects of a person (see projects.across), page by page, and counted
no further than a cap: an inbox of 200,000 costs what one of 200 does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now

from agents.lifecycle import EscalationState, TaskState
from agents.models import Escalation, Task
from agents.models.tasks import Choice
from approvals import collisions, counting, deadlines, pacing, routing, shortest
from approvals.calls import selectors as calls
from approvals.filters import WITH_AGENTS, Conditions
from approvals.lifecycle import ApprovalState
from approvals.models import Approval, Edit, Policy, Signature, Snooze
from projects import across, keyset
from projects.across import Across, Few, Mine
from projects.keyset import Order, Page, Place
from projects.prepared import Prepared, within

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from projects.across import Statement
    from projects.models import User

ROWS = 25
FIRST = 10  # are shown of what comes before the list; one more is read, to tell that there is more
BY_DUE = calls.BY_DUE
BY_DECISION = Order(moment="decided_at")
BY_RISK = Order(rank="risk_rank", moment="expires_at", newest_first=False)
SORTS = {
    "due": BY_DUE,
    "risk": BY_RISK,
    "oldest": Order(newest_first=False),
    "newest": Order(),
}
_ALL = Conditions()
_AGAIN = Order()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a person is asked; approvals carry `sealed_title` and the like instead of the seal."""

    questions: list[Escalation]
    again: list[Approval]
    page: Page[Approval]

    @property
    def pending(self) -> list[Approval]:
        """What waits for a signature, on this page."""
        return self.page.rows


def needs_you(
    user: User,
    mine: Mine | None = None,
    *,
    place: Place | None = None,
    limit: int = ROWS,
    fits: Conditions = _ALL,
    order: Order = BY_DUE,
) -> Asked:
    """Return questions, what must be asked again, and what waits: by due time, then by risk.

    From the second page on, and with a condition, only what waits.
    """
    mine = mine or Mine.of(user)
    page = _shown(
        keyset.page(
            shortest.narrowed(_waiting(user.pk, mine), fits),
            _loaded,
            order=order,
            place=place,
            limit=limit,
        )
    )
    if order == BY_DUE:
        rank(page.rows)
    if place is not None or fits:
        return Asked(questions=[], again=[], page=page)
    return Asked(
        questions=_asked(user, mine, FIRST + 1),
        again=_undecided(user, mine, FIRST + 1),
        page=page,
    )


def rank(rows: list[Any]) -> None:
    """Sort what waits by due time, then by risk."""
    rows.sort(key=lambda row: (row.expires_at, row.risk_rank))


def snoozed(
    user: User,
    mine: Mine,
    *,
    place: Place | None = None,
    limit: int = ROWS,
    fits: Conditions = _ALL,
    order: Order = BY_DUE,
) -> Page[Approval]:
    """Return what this person has put off, by due time; each says until when, `asleep_until`, and
    whether main moving ends that, `asleep_for_main`."""
    asleep = _asleep(user.pk).filter(approval=OuterRef("pk"))
    until = Subquery(asleep.values("until"))
    for_main = Exists(asleep.filter(main_moves=True))
    return _shown(
        keyset.page(
            Few(rows=_put_off(user.pk, mine).filter(fits.all)),
            lambda rows: _loaded(rows).annotate(asleep_until=until, asleep_for_main=for_main),
            order=order,
            place=place,
            limit=limit,
        )
    )


def snoozed_of(user: User, mine: Mine, cap: int) -> Statement:
    """Return the statement that counts what this person has put off."""
    return _snoozed_of(user.pk, mine, cap)


def decided(
    user: User,
    mine: Mine | None = None,
    *,
    place: Place | None = None,
    limit: int = ROWS,
    fits: Conditions = _ALL,
) -> Page[Approval]:
    """Return what was decided, or ended undecided, newest first."""
    over = Approval.objects.filter(decided_at__isnull=False)
    return _shown(
        keyset.page(
            shortest.narrowed(
                Across(rows=over, projects=(mine or Mine.of(user)).projects), fits, over=True
            ),
            _loaded,
            order=BY_DECISION,
            place=place,
            limit=limit,
        )
    )


@lru_cache(maxsize=across.PERSONS)
def with_agents(mine: Mine, states: tuple[TaskState, ...] = WITH_AGENTS) -> Across:
    """Return the tasks agents or effects are at, or those of them in these states."""
    return Across(rows=Task.objects.all(), projects=mine.projects, states=states)


def neighbours(
    user: User, mine: Mine, approval: Approval
) -> tuple[Approval | None, Approval | None]:
    """Return what waits for this person just before and just after an approval."""
    order, waiting, ways = BY_DUE, _waiting(user.pk, mine), (True, False)
    places = [Place(key=approval.pk, moment=approval.expires_at, back=back) for back in ways]
    keys = [
        waiting.filter(place.beyond(order)).keys(order.fields(back=place.back), 1)
        for place in places
    ]
    found = Approval.objects.filter(pk__among=across.either(*keys))
    at = (approval.expires_at, approval.pk)
    rows = list(found.select_related("task", "proposal").only(*_NAMED))
    before = (row for row in rows if (row.expires_at, row.pk) < at)
    after = (row for row in rows if (row.expires_at, row.pk) > at)
    return next(before, None), next(after, None)


_NAMED = ("expires_at", "task__number", "proposal__round")


def place_of(user: User, mine: Mine, approval: Approval, cap: int) -> dict[str, Statement]:
    """Return the statements that count what waits for this person, and how much of it before this."""
    waiting = _waiting(user.pk, mine)
    place = Place(key=approval.pk, moment=approval.expires_at, back=True)
    before = waiting.filter(place.beyond(BY_DUE))
    return {"before": before.counted(cap), "waits": waiting.counted(cap)}


def waits_for(user: User, mine: Mine, keys: Iterable[UUID]) -> set[UUID]:
    """Return which of these this person may sign and has not signed, put off or not."""
    rows = _to_sign(user.pk, mine).filter(pk__in=list(keys), project__in=mine.led)
    return set(rows.values_list("pk", flat=True))


def count_needs_you(user: User, *, cap: int) -> int:
    """Return how much this person is asked; counting ends at `cap`."""
    return across.counts({"": asked_of(user, Mine.of(user), cap)})[""]


def asked_of(user: User, mine: Mine, cap: int) -> Statement:
    """Return the statement that counts how much this person is asked, up to `cap`."""
    return _asked_of(user.pk, mine, cap)


def decided_today(user: User, cap: int) -> Statement:
    """Return the statement that counts this person's decisions of today; one taken back is none."""
    return _decided_since(user.pk, pacing.today(), cap)


@lru_cache(maxsize=across.PERSONS)
def _asked_of(person: UUID, mine: Mine, cap: int) -> Statement:
    first, *others = (
        _waiting(person, mine),
        *_unanswered(person, mine),
        *_stopped(person, mine),
        calls.waiting(person, mine),
    )
    return across.added(first.counted(cap), *(each.counted(cap) for each in others), cap=cap)


@lru_cache(maxsize=across.PERSONS)
def _decided_since(person: UUID, moment: datetime, cap: int) -> Statement:
    decided = across.counted(pacing.by_hand(person, moment), cap)
    asked = across.counted(calls.decided_since(person, moment), cap)
    return across.added(decided, asked, cap=cap)


@lru_cache(maxsize=across.PERSONS)
def _snoozed_of(person: UUID, mine: Mine, cap: int) -> Statement:
    put_off = across.counted(_put_off(person, mine), cap)
    return across.added(put_off, across.counted(calls.put_off(person, mine), cap), cap=cap)


def _asleep(person: UUID) -> QuerySet[Snooze]:
    return Snooze.objects.filter(person=person, until__gt=Now())


@lru_cache(maxsize=across.PERSONS)
def _waiting(person: UUID, mine: Mine) -> Across:
    """Return pending approvals this person may sign and has not, has not put off and no other holds."""
    put_off = Q(pk__in=_asleep(person).values("approval"))
    rows = _to_sign(person, mine).filter(~put_off, ~routing.others_hold(person))
    return Across(rows=rows, projects=mine.led)


def _put_off(person: UUID, mine: Mine) -> QuerySet[Approval]:
    """Return those this person has put off: few, and found by the person."""
    asleep = {"snoozes__person": person, "snoozes__until__gt": Now()}
    return _to_sign(person, mine).filter(within("project", mine.led), **asleep)


def _to_sign(person: UUID, mine: Mine) -> QuerySet[Approval]:
    unsigned = counting.asks_again(Signature.objects.all(), person)
    took_over = Escalation.objects.filter(choice=Choice.TAKE_OVER, resolved_by=person)
    # Told by the projects that were read already: a join would be made for each row that is counted.
    alone = Q(within("project", mine.singles), single_person=True)
    one = Policy.objects.filter(within("project", mine.led), signatures_needed=1, rules=None)
    edited = Edit.objects.filter(person=person).values("approval__task")
    return Approval.objects.filter(
        # One signature that is enough is the end of it, but that of an editor: there is none to look for.
        Q(~Q(task__in=edited), policy__in=one.values("pk")) | unsigned,
        ~Q(task__in=took_over.values("task")) | alone,
        ~Q(requester=person) | alone,
        # Held time is added up only for what would be overdue without it.
        Q(expires_at__gt=Now()) | Q(expires_at__gt=deadlines.deciding_now()),
        state=ApprovalState.PENDING,
    )


def _undecided(user: User, mine: Mine, limit: int) -> list[Approval]:
    return [_with_seal(row) for row in _undecided_rows(user.pk, mine, limit)()][:limit]


@lru_cache(maxsize=across.PERSONS)
def _undecided_rows(person: UUID, mine: Mine, limit: int) -> Prepared[Any]:
    order = _AGAIN.fields()
    keys = across.either(*(each.keys(order, limit) for each in _unanswered(person, mine)))
    found = Approval.objects.filter(pk__among=keys)
    return Prepared(lambda: _loaded(found).order_by(*order))


@lru_cache(maxsize=across.PERSONS)
def _unanswered(person: UUID, mine: Mine) -> tuple[Across, Across]:
    """Return the newest approvals that ended undecided while their task still waits."""
    rows = Approval.objects.filter(
        state__in=[ApprovalState.STALE, ApprovalState.EXPIRED],
        replaced=False,
        task__state=TaskState.REVIEW,
    )
    return (
        Across(rows=rows, projects=mine.led),
        Across(rows=rows.filter(requester=person), projects=mine.asking),
    )


def _asked(user: User, mine: Mine, limit: int) -> list[Escalation]:
    """Return the open questions of tasks that wait for an answer, the oldest task first."""
    return _asked_rows(user.pk, mine, limit)()[:limit]


@lru_cache(maxsize=across.PERSONS)
def _asked_rows(person: UUID, mine: Mine, limit: int) -> Prepared[Any]:
    order, path = ["task_id", "id"], "task__project_id"
    stopped = Escalation.objects.filter(
        state=EscalationState.OPEN, task__state=TaskState.NEEDS_HUMAN
    )
    own = stopped.filter(task__requester=person)
    lists = (
        Across(rows=stopped, projects=mine.led, path=path),
        Across(rows=own, projects=mine.asking, path=path),
    )
    keys = across.either(*(each.keys(order, limit) for each in lists))
    loaded = Escalation.objects.filter(pk__among=keys).select_related("task", "step__agent")
    return Prepared(lambda: loaded.only(*_OF_QUESTION).order_by(*order))


_OF_QUESTION = (
    *("rule", "detail", "raised_at", "state", "task__number", "task__title", "step__title"),
    *(f"step__agent__{name}" for name in ("slug", "name", "colour", "icon")),
)


def _stopped(person: UUID, mine: Mine) -> tuple[Across, Across]:
    """Return the tasks that wait for an answer: each has a question.

    One that waits only for permission of a call has none; the call itself is listed.
    """
    open_ = Escalation.objects.filter(task=OuterRef("pk"), state=EscalationState.OPEN)
    rows, states = Task.objects.filter(Exists(open_)), (TaskState.NEEDS_HUMAN,)
    own = rows.filter(requester=person)
    return (
        Across(rows=rows, projects=mine.led, states=states),
        Across(rows=own, projects=mine.asking, states=states),
    )


def _loaded(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Load what a row shows. Few joins: to plan six takes longer than to do them."""
    seen: QuerySet[Any] = rows.select_related("task", "decided_by").annotate(
        added=deadlines.added(),
        collides_before=collisions.numbers("other"),
        collides_after=collisions.numbers("one"),
    )
    return seen.only(*_OF_ROW)


# All but the seal; of its task and of who decided, what is said of them.
_OF_ROW = (
    *(field.name for field in Approval._meta.concrete_fields if field.name != "snapshot"),
    *("task__number", "task__title"),
    *(f"decided_by__{name}" for name in ("username", "first_name", "last_name")),
)


def _shown(page: Page[Any]) -> Page[Any]:
    for row in page.rows:
        _with_seal(row)
    return page


def _with_seal(row: Any) -> Any:
    """Hand the sealed facts over by name."""
    for name in ("effects", "checks", "claims", "agents", "round"):
        setattr(row, f"sealed_{name}", row.outline[name])
    row.sealed_title = row.outline["proposal"]["title"]
    row.collides_with = [*row.collides_before, *row.collides_after][: collisions.NUMBERS]
    return row
