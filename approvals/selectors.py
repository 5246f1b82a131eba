"""What the review inbox asks: whose turn it is, in which order, and how many.

Every list is read across the projects of a person (see projects.across), page by page, and counted
no further than a cap: an inbox of 200,000 costs what one of 200 does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from agents.lifecycle import EscalationState, TaskState
from agents.models import Escalation, Task
from agents.models.tasks import Choice
from approvals import deadlines
from approvals.lifecycle import ApprovalState
from approvals.models import Approval, Signature
from projects import across, keyset
from projects.across import Across, memberships
from projects.keyset import Order, Page, Place
from projects.models import Role

if TYPE_CHECKING:
    from projects.across import Statement
    from projects.models import User

ROWS = 50
WITH_AGENTS = (
    TaskState.QUEUED,
    TaskState.PLANNING,
    TaskState.WORKING,
    TaskState.ASSEMBLING,
    TaskState.EXECUTING,
)
BY_DUE = Order(moment="expires_at", newest_first=False)
BY_DECISION = Order(moment="decided_at")
_AGAIN = Order()
_RANK = {"high": 0, "medium": 1, "low": 2}


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


def needs_you(user: User, *, place: Place | None = None, limit: int = ROWS) -> Asked:
    """Return questions, what must be asked again, and what waits: by due time, then by risk.

    From the second page on only what waits.
    """
    page: Page[Approval] = keyset.page(
        _waiting(user), lambda rows: _seen(rows, user), order=BY_DUE, place=place, limit=limit
    )
    page.rows.sort(key=lambda approval: (approval.expires_at, _RANK[approval.risk]))
    if place is not None:
        return Asked(questions=[], again=[], page=page)
    return Asked(questions=_asked(user, limit), again=_undecided(user, limit), page=page)


def decided(user: User, *, place: Place | None = None, limit: int = ROWS) -> Page[Approval]:
    """Return what was decided, or ended undecided, newest first."""
    over = Approval.objects.filter(decided_at__isnull=False)
    return keyset.page(
        Across(rows=over, members=memberships(user)),
        lambda rows: _seen(rows, user),
        order=BY_DECISION,
        place=place,
        limit=limit,
    )


def with_agents(user: User) -> Across:
    """Return the tasks agents or effects are at."""
    rows, mine = Task.objects.all(), memberships(user)
    return Across(rows=rows, members=mine, states=WITH_AGENTS)


def neighbours(user: User, approval: Approval) -> tuple[Approval | None, Approval | None]:
    """Return what waits for this person just before and just after an approval."""
    found: list[Approval | None] = []
    for back in (True, False):
        place = Place(key=approval.pk, moment=approval.expires_at, back=back)
        page: Page[Approval] = keyset.page(
            _waiting(user),
            lambda rows: rows.visible_to(user).select_related("task", "proposal").only(*_NAMED),  # type: ignore[attr-defined]
            order=BY_DUE,
            place=place,
            limit=1,
        )
        found.append(next(iter(page.rows), None))
    return found[0], found[1]


_NAMED = ("expires_at", "task__number", "proposal__round")


def place_of(user: User, approval: Approval, *, cap: int) -> tuple[int, int]:
    """Return how much waits for this person up to an approval and in all, each up to `cap`."""
    waiting = _waiting(user)
    place = Place(key=approval.pk, moment=approval.expires_at, back=True)
    before = waiting.filter(place.beyond(BY_DUE))
    found = across.counts({"before": before.counted(cap), "all": waiting.counted(cap)})
    return found["before"] + 1, found["all"]


def count_needs_you(user: User, *, cap: int) -> int:
    """Return how much this person is asked; counting ends at `cap`."""
    return min(cap, sum(across.counts(asked_of(user, cap)).values()))


def asked_of(user: User, cap: int) -> dict[str, Statement]:
    """Return the statements whose counts add up to how much this person is asked."""
    lists = {"waits": _waiting(user)}
    lists |= {f"again_{place}": each for place, each in enumerate(_unanswered(user))}
    lists |= {f"stopped_{place}": each for place, each in enumerate(_stopped(user))}
    return {name: each.counted(cap) for name, each in lists.items()}


def decided_today(user: User, cap: int) -> Statement:
    """Return the statement that counts this person's decisions of today; one taken back is none."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    mine = Approval.objects.filter(decided_by=user, decided_at__gte=midnight)
    return across.counted(mine.exclude(state=ApprovalState.WITHDRAWN), cap)


def _led(user: User) -> QuerySet[Any]:
    return memberships(user, role=Role.LEAD)


def _asking(user: User) -> QuerySet[Any]:
    return memberships(user, role=Role.REQUESTER)


def _waiting(user: User) -> Across:
    """Return pending approvals this person may sign and has not signed."""
    mine = Signature.objects.filter(approval=OuterRef("pk"), signer=user)
    took_over = Escalation.objects.filter(choice=Choice.TAKE_OVER, resolved_by=user)
    alone = Q(single_person=True, project__single_person=True)
    rows = Approval.objects.filter(
        # One signature that is enough is the end of it: there is none to look for.
        Q(policy__signatures_needed=1) | ~Exists(mine),
        ~Q(task__in=took_over.values("task")) | alone,
        ~Q(requester=user) | alone,
        # Held time is added up only for what would be overdue without it.
        Q(expires_at__gt=Now()) | Q(expires_at__gt=deadlines.deciding_now()),
        state=ApprovalState.PENDING,
    )
    return Across(rows=rows, members=_led(user))


def _undecided(user: User, limit: int) -> list[Approval]:
    order = _AGAIN.fields()
    keys = across.either(*(each.keys(order, limit) for each in _unanswered(user)))
    found = _seen(Approval.objects.filter(pk__in=keys), user).order_by(*order)
    return list(found[:limit])


def _unanswered(user: User) -> tuple[Across, Across]:
    """Return the newest approvals that ended undecided while their task still waits."""
    rows = Approval.objects.filter(
        state__in=[ApprovalState.STALE, ApprovalState.EXPIRED],
        replaced=False,
        task__state=TaskState.REVIEW,
    )
    return (
        Across(rows=rows, members=_led(user)),
        Across(rows=rows.filter(requester=user), members=_asking(user)),
    )


def _asked(user: User, limit: int) -> list[Escalation]:
    """Return the open questions of tasks that wait for an answer, the oldest task first."""
    order = ["task_id", "id"]
    stopped = Escalation.objects.filter(
        state=EscalationState.OPEN, task__state=TaskState.NEEDS_HUMAN
    )
    lists = (
        Across(rows=stopped, members=_led(user), path="task__project_id"),
        Across(
            rows=stopped.filter(task__requester=user),
            members=_asking(user),
            path="task__project_id",
        ),
    )
    found = Escalation.objects.visible_to(user).filter(
        pk__in=across.either(*(each.keys(order, limit) for each in lists))
    )
    loaded = found.select_related("task__project", "task__requester", "step__agent")
    return list(loaded.defer("evidence").order_by(*order)[:limit])


def _stopped(user: User) -> tuple[Across, Across]:
    """Return the tasks that wait for an answer: each has a question."""
    rows = Task.objects.all()
    state = (TaskState.NEEDS_HUMAN,)
    return (
        Across(rows=rows, members=_led(user), states=state),
        Across(rows=rows.filter(requester=user), members=_asking(user), states=state),
    )


def _seen(rows: QuerySet[Any], user: User) -> QuerySet[Any]:
    """Load what a row shows; the hunks of the snapshots stay in the database."""
    return (
        rows.visible_to(user)  # type: ignore[attr-defined]
        .select_related("task__project", "task__requester", "project", "decided_by")
        .defer("snapshot", "task__request", "task__context", "task__limits")
        .annotate(
            held_for=deadlines.held_for(),
            sealed_title=F("snapshot__proposal__title"),
            sealed_effects=F("snapshot__effects"),
            sealed_checks=F("snapshot__checks"),
            sealed_claims=F("snapshot__claims"),
            sealed_agents=F("snapshot__agents"),
            sealed_round=F("snapshot__round"),
        )
    )
