"""What the review inbox and the review page ask: rows, counts, and who may sign."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from agents.lifecycle import EscalationState, TaskState
from agents.models import Escalation, Task
from agents.workspace.checks import CheckReport
from approvals.lifecycle import ApprovalState
from approvals.models import Approval, Signature
from approvals.rights import why_not
from projects.models import Membership, Role

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

    from projects.models import User

TABS = ("needs_you", "with_agents", "decided")
COUNT_CAP = 100  # a counter shows 99+ beyond
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
class InboxRow:
    """One line of the inbox: a decision, a question of a limit, or work under way."""

    kind: str  # approval, ask_again, escalation or task
    task: Task
    title: str
    effect: str = ""
    evidence: list[str] = field(default_factory=list)
    agents: list[dict[str, Any]] = field(default_factory=list)
    risk: str = ""
    round: int = 1
    due: datetime | None = None
    approval: Approval | None = None
    escalation: Escalation | None = None
    state: str = ""
    decided_by: str = ""
    decided_at: datetime | None = None
    reason: str = ""
    reversible: bool = True
    signed: int = 0
    needed: int = 1
    rehearsal: bool = False

    @property
    def id(self) -> uuid.UUID:
        """The row's own id, for links and keys."""
        holder = self.approval or self.escalation or self.task
        key: uuid.UUID = holder.pk
        return key


def inbox(user: User, tab: str = "needs_you", *, limit: int = ROWS) -> list[InboxRow]:
    """Return the rows of one tab: most urgent first, or newest first for what is decided."""
    match tab:
        case "with_agents":
            tasks = _with_agents(user).select_related("project", "requester").order_by("-id")
            return [_task_row(task) for task in tasks[:limit]]
        case "decided":
            rows = _decided(user).order_by("-decided_at", "-id")
            return [approval_row(row) for row in _seen(rows, limit)]
        case _:
            return _needs_you(user, limit)


def counts(user: User, *, cap: int = COUNT_CAP) -> dict[str, int]:
    """Return how many rows each tab has; counting ends at `cap`."""
    needs = (_waiting(user), _unanswered(user), _questions(user))
    return {
        "needs_you": min(cap, sum(_count(rows, cap) for rows in needs)),
        "with_agents": _count(_with_agents(user), cap),
        "decided": _count(_decided(user), cap),
    }


def may_sign(user: User, approval: Approval) -> tuple[bool, str]:
    """Tell whether this person may sign this approval now, else why not in a sentence."""
    refusal = why_not(approval, user)
    if refusal:
        return False, refusal
    if approval.state != ApprovalState.PENDING:
        return False, f"This approval is {approval.get_state_display().lower()}."
    if not Approval.objects.filter(pk=approval.pk, expires_at__gt=Now()).exists():
        return False, "The time to decide is over. Ask for the decision again."
    if approval.signatures.filter(signer=user).exists():
        return False, "You have signed this. It waits for another tech lead."
    return True, ""


def approval_row(approval: Approval) -> InboxRow:
    """Return the line of one approval, from its sealed snapshot."""
    parts = _parts(approval)
    effect = parts["effects"][0] if parts["effects"] else {}
    again = approval.state in {ApprovalState.STALE, ApprovalState.EXPIRED}
    return InboxRow(
        kind="ask_again" if again and approval.task.state == TaskState.REVIEW else "approval",
        task=approval.task,
        approval=approval,
        title=parts["title"],
        effect=effect_line(effect),
        evidence=evidence_lines(checks=parts["checks"], claims=parts["claims"]),
        agents=parts["agents"],
        risk=approval.risk,
        round=parts["round"],
        due=approval.expires_at if approval.state == ApprovalState.PENDING else None,
        state=approval.state,
        decided_by=approval.decided_by.display_name if approval.decided_by else "",
        decided_at=approval.decided_at,
        reason=approval.reason,
        reversible=bool(effect.get("reversible")),
        signed=getattr(approval, "signed", 0),
        needed=parts["needed"],
        rehearsal=approval.task.rehearsal,
    )


def effect_line(effect: dict[str, Any]) -> str:
    """Say in one line what would be done, from the sealed effect alone."""
    match effect.get("kind"):
        case "git.merge":
            files = "1 file" if effect["files"] == 1 else f"{effect['files']} files"
            where = f"{effect.get('project') or effect['repository']} to {effect['branch']}"
            return f"Merge, {where}, {files} +{effect['added']} \N{MINUS SIGN}{effect['removed']}"
        case "deliver":
            return f"Deliver, a report to {effect['to']}"
        case None:
            return ""
        case kind:
            return f"{kind}, cannot be undone"


def evidence_lines(*, checks: dict[str, Any], claims: list[dict[str, Any]]) -> list[str]:
    """Say what our checks found and how many claims they prove; contradicted ones first."""
    lines = []
    if checks:
        report = CheckReport.model_validate(checks)
        lines.append(report.sentence if report.ran else f"Checks not run: {report.why_not}")
    if claims:
        of = dict.fromkeys(("contradicted", "proven", "not_checkable"), 0)
        for claim in claims:
            of[claim["verdict"]] = of.get(claim["verdict"], 0) + 1
        if of["contradicted"]:
            lines.append(f"{of['contradicted']} of {len(claims)} claims contradicted")
        else:
            lines.append(f"{of['proven']} of {len(claims)} claims proven")
    return lines


def _needs_you(user: User, limit: int) -> list[InboxRow]:
    """Order by due, then risk; questions without a due time come first: work stands still."""
    waiting = _waiting(user).order_by("expires_at", "id")
    pending = [approval_row(row) for row in _seen(waiting, limit)]
    pending.sort(key=lambda row: (row.due, _RANK[row.risk]))
    again = [approval_row(row) for row in _seen(_unanswered(user).order_by("-id"), limit)]
    questions = _questions(user).select_related("task__project", "task__requester", "step__agent")
    asked = [_question_row(question) for question in questions.order_by("raised_at")[:limit]]
    return [*asked, *again, *pending][:limit]


def _waiting(user: User) -> QuerySet[Approval]:
    """Return pending approvals this person may sign and has not signed."""
    mine = Signature.objects.filter(approval=OuterRef("pk"), signer=user)
    return Approval.objects.visible_to(user).filter(
        ~Exists(mine),
        ~Q(requester=user) | Q(single_person=True),
        project__in=_led_by(user),
        state=ApprovalState.PENDING,
        expires_at__gt=Now(),
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


def _with_agents(user: User) -> QuerySet[Task]:
    return Task.objects.visible_to(user).filter(state__in=WITH_AGENTS)


def _decided(user: User) -> QuerySet[Approval]:
    return Approval.objects.visible_to(user).exclude(state=ApprovalState.PENDING)


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
            sealed_title=F("snapshot__proposal__title"),
            sealed_effects=F("snapshot__effects"),
            sealed_checks=F("snapshot__checks"),
            sealed_claims=F("snapshot__claims"),
            sealed_agents=F("snapshot__agents"),
            sealed_round=F("snapshot__round"),
            sealed_needed=F("snapshot__policy__signatures_needed"),
        )
    )
    return sorted(found, key=lambda approval: keys.index(approval.pk))


def _parts(approval: Approval) -> dict[str, Any]:
    if hasattr(approval, "sealed_title"):
        names = ("title", "effects", "checks", "claims", "agents", "round", "needed")
        return {name: getattr(approval, f"sealed_{name}") for name in names}
    sealed = approval.snapshot
    return {
        **{name: sealed[name] for name in ("effects", "checks", "claims", "agents", "round")},
        "title": sealed["proposal"]["title"],
        "needed": sealed["policy"]["signatures_needed"],
    }


def _task_row(task: Task) -> InboxRow:
    return InboxRow(
        kind="task",
        task=task,
        title=task.title,
        round=task.round,
        state=task.state,
        rehearsal=task.rehearsal,
    )


def _question_row(question: Escalation) -> InboxRow:
    return InboxRow(
        kind="escalation",
        task=question.task,
        escalation=question,
        title=question.task.title,
        evidence=[question.detail],
        round=question.task.round,
        state=question.task.state,
        reason=question.get_rule_display(),
        rehearsal=question.task.rehearsal,
    )


def _count(rows: QuerySet[Any], cap: int) -> int:
    return rows.order_by()[:cap].count()
