"""What waits for a person, what is with agents, and what was decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from agents.lifecycle import EscalationState, TaskState
from agents.models import Escalation, Task
from approvals.lifecycle import ApprovalState
from approvals.models import Approval
from countersign.console import looks, sentences
from countersign.console.checks import Checks, checks_of
from countersign.console.rendering import waiting_for
from projects.models import Membership, Role

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from projects.models import User

_AT_ONCE = 100
_WITH_AGENTS = (
    TaskState.QUEUED,
    TaskState.PLANNING,
    TaskState.WORKING,
    TaskState.ASSEMBLING,
    TaskState.EXECUTING,
)


@dataclass(frozen=True, kw_only=True)
class InboxRow:
    """One approval in the inbox, from its seal."""

    approval: Approval
    title: str
    effect: dict[str, Any]
    checks: Checks | None
    proven: int
    claims: int
    contradicted: int
    warnings: int
    hidden: int
    agents: list[dict[str, Any]]
    look: looks.Look
    due: datetime
    urgency: str
    left: timedelta
    whole: timedelta


def needs_you(user: User) -> list[tuple[str, str, list[InboxRow]]]:
    """Return groups by due date: icon, title and rows."""
    rows = [row_of(approval) for approval in _loaded(waiting_for(user)).order_by("expires_at")]
    back = [row for row in rows if row.approval.proposal.round > 1]
    first = [row for row in rows if row.approval.proposal.round == 1]
    groups = (
        ("timer", "Due within 1 hour", [row for row in first if row.urgency == "now"]),
        ("clock", "Today", [row for row in first if row.urgency == "today"]),
        ("inbox", "Later", [row for row in first if row.urgency == "later"]),
        ("undo-2", "Sent back, new round ready", back),
    )
    return [group for group in groups if group[2]]


def questions_for(user: User) -> list[Escalation]:
    """Return the open escalations of projects this person leads."""
    led = Membership.objects.filter(user=user, role=Role.LEAD).values("project_id")
    return list(
        Escalation.objects.visible_to(user)
        .filter(state=EscalationState.OPEN, task__project_id__in=led)
        .select_related("task__project", "step__agent")
        .order_by("raised_at")[:_AT_ONCE]
    )


def with_agents(user: User) -> list[sentences.TaskRow]:
    """Return the tasks agents are at, in the projects of this person."""
    tasks = (
        Task.objects.visible_to(user)
        .filter(state__in=_WITH_AGENTS)
        .select_related("project", "requester")
        .prefetch_related("steps__agent")
        .order_by("-id")[:_AT_ONCE]
    )
    return [sentences.task_row(task) for task in tasks]


def decided(user: User) -> list[InboxRow]:
    """Return what was decided, or ended undecided, newest first."""
    over = Approval.objects.visible_to(user).exclude(state=ApprovalState.PENDING)
    return [row_of(approval) for approval in _loaded(over).order_by("-decided_at")[:_AT_ONCE]]


def decided_today(user: User) -> int:
    """Count this person's decisions of today."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    return Approval.objects.filter(decided_by=user, decided_at__gte=midnight).count()


def row_of(approval: Approval) -> InboxRow:
    """Return an approval as the inbox shows it; only sealed facts."""
    sealed = approval.snapshot
    verdicts = [claim["verdict"] for claim in sealed["claims"]]
    left = approval.expires_at - timezone.now()
    return InboxRow(
        approval=approval,
        title=sealed["proposal"]["title"],
        effect=sealed["effects"][0] if sealed["effects"] else {},
        checks=checks_of(sealed["checks"]) if sealed["checks"] else None,
        proven=verdicts.count("proven"),
        claims=len(verdicts),
        contradicted=verdicts.count("contradicted"),
        warnings=len(sealed["warnings"]),
        hidden=_count(sealed["warnings"], "hidden_character"),
        agents=sealed["agents"],
        look=looks.of_approval(approval),
        due=approval.expires_at,
        urgency=_urgency(left),
        left=max(left, timedelta()),
        whole=approval.expires_at - approval.requested_at,
    )


def _loaded(approvals: Any) -> Any:
    return approvals.select_related("task__project", "proposal", "requester", "decided_by")


def _urgency(left: timedelta) -> str:
    if left < timedelta(hours=1):
        return "now"
    return "today" if left < timedelta(hours=24) else "later"


def _count(warnings: Iterable[dict[str, Any]], kind: str) -> int:
    return sum(one.get("kind") == kind for one in warnings)
