"""Takes an approval back while its undo window is open, or a hold keeps what was approved from beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models.functions import Now

from agents.events import Kind
from agents.lifecycle import TaskState
from approvals import deadlines, sealing
from approvals.exceptions import UndoRefused, UnknownApproval
from approvals.lifecycle import ApprovalState, EffectState
from approvals.models import Approval
from projects import audit
from projects.access import require_lead
from projects.exceptions import TransitionRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from projects.models import User

UNSENT = {"sent_at": None}  # else it may have landed
TOO_LATE = (
    "The undo window is over and the effect has begun. "
    "A merge can be taken back afterwards: press Revert on its review page."
)
_DUE = (
    "The undo window is over. Nothing has begun yet, but may at any moment; once its task is paused, "
    "it can be undone."
)


def may_undo(approval: Approval, effects: Sequence[Any] | None = None) -> bool:
    """Tell whether every effect still waits inside the window (database clock), or under a hold.

    `effects` are those of `deadlines.with_window`, when they were read already.
    """
    if approval.state != ApprovalState.APPROVED:
        return False
    if effects is None:
        effects = list(deadlines.with_window(approval.effects.all()))
    return bool(effects) and all(effect.may_be_undone for effect in effects)


def undo(approval: Approval, *, by: User, address: str | None = None) -> Approval:
    """Withdraw an approval and its effects; return the new approval of the same proposal.

    Any lead may undo. Against the executor the conditional moves decide: either everything is
    withdrawn or UndoRefused is raised and nothing changed.
    """
    found = (
        Approval.objects.visible_to(by)
        .select_related("project", "task__requester", "proposal")
        .filter(pk=approval.pk)
        .first()
    )
    if found is None:
        raise UnknownApproval
    require_lead(by, found.project)
    if found.state != ApprovalState.APPROVED:
        raise UndoRefused(
            f"{found.task.label}: {found.get_state_display().lower()}. There is nothing to undo."
        )
    if not may_undo(found):
        raise UndoRefused(_why_too_late(found))
    try:
        with transaction.atomic():
            return _withdraw(found, by=by, address=address)
    except UndoRefused:
        raise
    except TransitionRefused as error:
        raise UndoRefused(_why_too_late(found)) from error


def _why_too_late(approval: Approval) -> str:
    approval.refresh_from_db(fields=["state"])
    if approval.state == ApprovalState.WITHDRAWN:
        return "Somebody undid it already; it waits for a signature again."
    begun = approval.effects.exclude(state=EffectState.PLANNED, **UNSENT).exists()
    return TOO_LATE if begun else _DUE


def _withdraw(approval: Approval, *, by: User, address: str | None) -> Approval:
    task = approval.task
    reason = f"{by.display_name} undid the approval."
    approval.move(ApprovalState.WITHDRAWN, reason=reason)
    for effect in approval.effects.all():
        effect.move(EffectState.WITHDRAWN, guard=UNSENT, finished_at=Now())
    facts = {"approval": str(approval.pk), "state": approval.state}
    task.record(Kind.APPROVAL_DECIDED, {**facts, "verdict": "undo", "by": by.display_name})
    task.refresh_from_db(fields=["state", "last_seq"])
    task.move(TaskState.REVIEW, data={"approval": str(approval.pk), "reason": reason})
    sealed = sealing.seal(approval.proposal)
    audit.record(
        "approval.undone",
        subject=approval,
        actor=by,
        project=approval.project,
        address=address,
        task=task.label,
        sealed_anew=str(sealed.pk),
    )
    return sealed
