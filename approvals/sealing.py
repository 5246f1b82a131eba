"""Seals a proposal: snapshot, canonical JSON, SHA-256, nonce, expiry, approval row."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

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

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

logger = logging.getLogger(__name__)


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

    Locks the task; raises TransitionRefused when it does not wait for sign-off, TooLarge when
    the change cannot be shown whole.
    """
    with transaction.atomic():
        task = (
            Task.objects.select_for_update(of=("self",), no_key=True)
            .select_related("project", "requester")
            .get(pk=proposal.task_id)
        )
        if task.state != TaskState.REVIEW:
            raise TransitionRefused(
                f"{task.label} is {task.state}; only a task in review is sealed."
            )
        proposal.task = task
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
    return approval


def seal_ready(limit: int = 20) -> int:
    """Seal the newest proposal of every task in review that has none; return how many.

    Two processes may do this at once: each task is sealed by one of them.
    """
    failed: set[uuid.UUID] = set()
    sealed = 0
    while sealed + len(failed) < limit:
        try:
            if not _seal_next(failed):
                break
            sealed += 1
        except _Unsealable as error:  # one bad proposal must not hold up the others
            logger.exception("task %s cannot be sealed", error.task_id)
            failed.add(error.task_id)
    return sealed


class _Unsealable(Exception):
    def __init__(self, task_id: uuid.UUID) -> None:
        super().__init__(task_id)
        self.task_id = task_id


def _seal_next(failed: set[uuid.UUID]) -> bool:
    with transaction.atomic():
        proposal = _next_unsealed(failed)
        if proposal is None:
            return False
        try:
            seal(proposal)
        except TooLarge as error:
            escalations.raise_on(
                proposal.task,
                rule=Rule.BLOCKED,
                detail=str(error),
                evidence={"proposal": str(proposal.pk)},
                options=[Choice.STOP],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _Unsealable(proposal.task_id) from error
    return True


def _next_unsealed(failed: set[uuid.UUID]) -> Proposal | None:
    """Lock one task in review whose newest proposal has no approval; skip what others hold."""
    newest = Proposal.objects.filter(task=OuterRef("task")).order_by("-round", "-version")
    unsealed = Proposal.objects.filter(
        ~Exists(Approval.objects.filter(proposal=OuterRef("pk"))),
        task=OuterRef("pk"),
        pk=newest.values("pk")[:1],
    )
    waiting = Approval.objects.filter(task=OuterRef("pk"), state=ApprovalState.PENDING)
    task = (
        Task.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
        .filter(~Exists(waiting), Exists(unsealed), state=TaskState.REVIEW)
        .exclude(pk__in=failed)
        .order_by("id")
        .first()
    )
    if task is None:
        return None
    # Asked again under the lock: another process may have sealed it while we chose it.
    found = task.proposals.order_by("-round", "-version").first()
    if found is None or found.approvals.exists():
        return None
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
