"""What the review inbox asks: whose turn it is, in which order, and how many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from agents.lifecycle import EscalationState, TaskState
from agents.models import Escalation, Task
from agents.models.tasks import Choice
from approvals import deadlines
from approvals.lifecycle import ApprovalState
from approvals.models import Approval, Signature
from projects.models import Membership, Role

if TYPE_CHECKING:
    import uuid

    from projects.models import User

ROWS = 50
WITH_AGENTS = (
    TaskState.QUEUED,
    TaskState.PLANNING,
    TaskState.WORKING,
    TaskState.ASSEMBLING,
    TaskState.EXECUTING,
)
_RANK = {"high": 0, "medium": 1, "low": 2}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a person is asked; approvals carry `sealed_title` and the like instead of the seal."""

    questions: list[Escalation]
    again: list[Approval]
    pending: list[Approval]


def needs_you(user: User, *, limit: int = ROWS) -> Asked:
    """Return questions, what must be asked again, and what waits: by due time, then by risk."""
    questions = _questions(user).select_related("task__project", "task__requester", "step__agent")
    pending = _seen(_waiting(user).order_by("expires_at", "id"), limit)
    pending.sort(key=lambda approval: (approval.expires_at, _RANK[approval.risk]))
    return Asked(
        questions=list(questions.order_by("raised_at")[:limit]),
        again=_seen(_unanswered(user).order_by("-id"), limit),
        pending=pending,
    )


def decided(user: User, *, limit: int = ROWS) -> list[Approval]:
    """Return what was decided, or ended undecided, newest first."""
    over = Approval.objects.visible_to(user).exclude(state=ApprovalState.PENDING)
    return _seen(over.order_by("-decided_at", "-id"), limit)


def with_agents(user: User) -> QuerySet[Task]:
    """Return the tasks agents or effects are at."""
    return Task.objects.visible_to(user).filter(state__in=WITH_AGENTS)


def count_needs_you(user: User, *, cap: int) -> int:
    """Return how much this person is asked; counting ends at `cap`."""
    asked: tuple[QuerySet[Any], ...] = (_waiting(user), _unanswered(user), _questions(user))
    return min(cap, sum(rows.order_by()[:cap].count() for rows in asked))


def _waiting(user: User) -> QuerySet[Approval]:
    """Return pending approvals this person may sign and has not signed."""
    mine = Signature.objects.filter(approval=OuterRef("pk"), signer=user)
    took_over = Escalation.objects.filter(
        task=OuterRef("task"), choice=Choice.TAKE_OVER, resolved_by=user
    )
    return Approval.objects.visible_to(user).filter(
        ~Exists(mine),
        ~Exists(took_over) | Q(single_person=True, project__single_person=True),
        ~Q(requester=user) | Q(single_person=True, project__single_person=True),
        project__in=_led_by(user),
        state=ApprovalState.PENDING,
        expires_at__gt=deadlines.deciding_now(),
    )


def _unanswered(user: User) -> QuerySet[Approval]:
    """Return the newest approvals that ended undecided while their task still waits."""
    newer = Approval.objects.filter(task=OuterRef("task"), pk__gt=OuterRef("pk"))
    return Approval.objects.visible_to(user).filter(
        Q(requester=user) | Q(project__in=_led_by(user)),
        ~Exists(newer),
        state__in=[ApprovalState.STALE, ApprovalState.EXPIRED],
        task__state=TaskState.REVIEW,
    )


def _questions(user: User) -> QuerySet[Escalation]:
    return Escalation.objects.visible_to(user).filter(
        Q(task__requester=user) | Q(task__project__in=_led_by(user)),
        state=EscalationState.OPEN,
        task__state=TaskState.NEEDS_HUMAN,
    )


def _led_by(user: User) -> QuerySet[Membership, uuid.UUID]:
    leads = Membership.objects.filter(user=user, role=Role.LEAD)
    return leads.values_list("project_id", flat=True)


def _seen(rows: QuerySet[Approval], limit: int) -> list[Approval]:
    """Load what the first rows show; the hunks of the snapshots stay in the database."""
    # Two steps: in one, every snapshot would be unpacked before the sort.
    keys = list(rows.values_list("pk", flat=True)[:limit])
    found = (
        Approval.objects.filter(pk__in=keys)
        .select_related("task__project", "task__requester", "project", "decided_by")
        .defer("snapshot")
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
    return sorted(found, key=lambda approval: keys.index(approval.pk))
