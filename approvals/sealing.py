"""Seals a proposal: snapshot, canonical JSON, SHA-256, nonce, expiry, approval row."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, OuterRef, Q

from agents import escalations
from agents.events import Kind
from agents.lifecycle import TaskState
from agents.models import Proposal, Task
from agents.models.tasks import Choice, Rule
from approvals import policies, snapshots
from approvals.exceptions import TooLarge
from approvals.lifecycle import ApprovalState
from approvals.models import Approval
from projects import audit
from projects.exceptions import TransitionRefused
from projects.failpoints import failpoint

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

logger = logging.getLogger(__name__)

_LOOKED_AT = 1_000  # tasks in review without a pending approval, at a time


def canonical(snapshot: dict[str, Any]) -> bytes:
    """Return the one byte form of a snapshot: sorted keys, no spaces, UTF-8; refuses floats."""
    _refuse_floats(snapshot)
    text = json.dumps(
        snapshot, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def digest_of(snapshot: dict[str, Any]) -> str:
    """Return the SHA-256 a signature of this snapshot covers."""
    return hashlib.sha256(canonical(snapshot)).hexdigest()


def seal(proposal: Proposal) -> Approval:
    """Put a proposal up for decision: the approval, its event and its audit entry.

    Locks the task; raises TransitionRefused when it does not wait for sign-off or an approval of
    it does already, TooLarge when the change cannot be shown whole.
    """
    with transaction.atomic():
        task = _lock(proposal.task_id)
        if task is None or task.state != TaskState.REVIEW:
            state = task.state if task else "gone"
            raise TransitionRefused(f"The task is {state}; only a task in review is sealed.")
        if task.approvals.filter(state=ApprovalState.PENDING).exists():
            raise TransitionRefused(f"{task.label} waits for a signature already. Open its review.")
        proposal.task = task
        return _write(proposal)


def _write(proposal: Proposal) -> Approval:
    """Write what is sealed; the task is locked and waits for it."""
    task = proposal.task
    policy = policies.active_policy(task.project)
    nonce = secrets.token_urlsafe(24)
    expires_at = _database_now() + timedelta(hours=policy.expires_hours)
    snapshot = snapshots.build(proposal, policy=policy, nonce=nonce, expires_at=expires_at)
    approval = Approval.objects.create(
        project=task.project,
        task=task,
        proposal=proposal,
        policy=policy,
        requester=task.requester,
        single_person=snapshot["single_person"],
        risk=snapshot["risk"]["level"],
        snapshot=snapshot,
        digest=digest_of(snapshot),
        nonce=nonce,
        expires_at=expires_at,
    )
    _announce(approval)
    failpoint("seal.written")
    return approval


def _lock(task: uuid.UUID, *, skip_locked: bool = False) -> Task | None:
    tasks = Task.objects.select_for_update(of=("self",), no_key=True, skip_locked=skip_locked)
    return tasks.select_related("project", "requester").filter(pk=task).first()


def seal_ready(limit: int = 20) -> int:
    """Seal the newest proposal of every task in review that has none; return how many it took up.

    What cannot be sealed is a person's question and holds up no other. Two processes may do this
    at once: each task is sealed by one of them.
    """
    return sum(_seal_newest(task) for task in _unsealed(limit))


def _seal_newest(task: uuid.UUID) -> bool:
    with transaction.atomic():
        proposal = _lock_unsealed(task)
        if proposal is None:
            return False
        try:
            with transaction.atomic():  # a fault must leave this transaction fit to ask a person
                _write(proposal)
        except TooLarge as error:
            _ask(proposal, Rule.BLOCKED, str(error), Choice.STOP)
        except (OperationalError, InterfaceError):
            raise  # the database is away, not the proposal wrong
        except Exception as fault:
            logger.exception("task %s cannot be sealed", proposal.task_id)
            said = f"The proposal could not be put up for sign-off: {type(fault).__name__}."
            _ask(proposal, Rule.FAULT, said, Choice.RETRY_WITH_NOTE, Choice.STOP)
    return True


def _ask(proposal: Proposal, rule: Rule, detail: str, *options: Choice) -> None:
    evidence = {"proposal": str(proposal.pk)}
    escalations.raise_on(
        proposal.task, rule=rule, detail=detail, evidence=evidence, options=options
    )


def _unsealed(limit: int) -> list[uuid.UUID]:
    """Return tasks in review whose newest proposal has no approval, oldest first.

    In two steps: thousands of tasks wait for people, and the first leaves out all of them at once.
    Page by page: those whose approval has expired stay in review, and must hide no other.
    """
    pending = Approval.objects.filter(task=OuterRef("pk"), state=ApprovalState.PENDING)
    bare = Task.objects.filter(~Exists(pending), state=TaskState.REVIEW).order_by("pk")
    found: list[uuid.UUID] = []
    rest = bare
    while len(found) < limit:
        page = list(rest.values_list("pk", flat=True)[:_LOOKED_AT])
        found += _never_sealed(page)
        if len(page) < _LOOKED_AT:
            break
        rest = bare.filter(pk__gt=page[-1])
    return found[:limit]


def _never_sealed(tasks: list[uuid.UUID]) -> list[uuid.UUID]:
    newest = Proposal.objects.filter(task=OuterRef("task")).order_by("-round", "-version")
    unsealed = Proposal.objects.filter(
        ~Exists(Approval.objects.filter(proposal=OuterRef("pk"))),
        task__in=tasks,
        pk=newest.values("pk")[:1],
    )
    return list(unsealed.order_by("task_id").values_list("task", flat=True))


def _lock_unsealed(pk: uuid.UUID) -> Proposal | None:
    """Lock a task in review and return its newest proposal; None where others were faster."""
    task = _lock(pk, skip_locked=True)
    if task is None or task.state != TaskState.REVIEW:
        return None
    found = task.proposals.order_by("-round", "-version").first()
    if found is None:
        return None
    if task.approvals.filter(Q(proposal=found) | Q(state=ApprovalState.PENDING)).exists():
        return None
    found.task = task
    return found


def _announce(approval: Approval) -> None:
    task = approval.task
    task.record(Kind.APPROVAL_REQUESTED, {"approval": str(approval.pk), "risk": approval.risk})
    audit.record(
        "approval.requested",
        subject=approval,
        actor=None,
        project=approval.project,
        digest=approval.digest,
        task=task.label,
        risk=approval.risk,
    )


def _database_now() -> datetime:
    """Return the database's clock; expiry never depends on the clock of a worker."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        now: datetime = cursor.fetchone()[0]
    return now


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError("A sealed snapshot holds no floats: their text form is not stable.")
    if isinstance(value, dict):
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_floats(item)
