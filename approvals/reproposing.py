"""Puts work up for decision again after main moved or nobody decided in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from agents import rounds
from approvals import sealing
from approvals.exceptions import UnknownApproval
from approvals.lifecycle import ApprovalState
from approvals.models import Approval
from projects import access, audit
from projects.exceptions import NotAllowed, TransitionRefused

if TYPE_CHECKING:
    from projects.models import User


def propose_again(approval: Approval, *, by: User, address: str | None = None) -> None:
    """Rebuild a stale proposal on main as it is now; ask again for an expired decision.

    The requester or a lead may. What comes is sealed anew; signatures hold where it is the same change.
    """
    found = newest(approval, by=by)
    if found.state == ApprovalState.EXPIRED:
        request_again(found, by=by, address=address)
        return
    if found.state != ApprovalState.STALE:
        raise TransitionRefused(
            f"{found.task.label}: {found.get_state_display().lower()}. There is nothing to rebuild."
        )
    with transaction.atomic():
        rounds.propose_again(found.task, by=by)
        record("approval.proposed_again", found, by, address)


def request_again(approval: Approval, *, by: User, address: str | None = None) -> Approval:
    """Seal the same proposal anew after nobody decided in time; return the new approval.

    The requester or a lead may. The task stays in review meanwhile: time alone decides nothing.
    """
    found = newest(approval, by=by)
    if found.state != ApprovalState.EXPIRED:
        raise TransitionRefused(
            f"{found.task.label}: {found.get_state_display().lower()}. Only what expired is asked again."
        )
    with transaction.atomic():
        sealed = sealing.seal(found.proposal)
        record("approval.requested_again", found, by, address, sealed_anew=str(sealed.pk))
    return sealed


def newest(approval: Approval, *, by: User) -> Approval:
    """Return the approval anew, for one who may put it up again.

    The requester or a lead may; raises NotAllowed for others, UnknownApproval for what they do not see,
    and TransitionRefused when the task has a newer one.
    """
    found = (
        Approval.objects.visible_to(by)
        .select_related("project", "task__project", "task__requester", "proposal")
        .filter(pk=approval.pk)
        .first()
    )
    if found is None:
        raise UnknownApproval
    if by.pk != found.requester_id and not access.is_lead(by, found.project):
        raise NotAllowed("Only who asked for it or a tech lead of the project can do this.")
    if found.task.approvals.filter(pk__gt=found.pk).exists():
        raise TransitionRefused("A newer approval of this task exists. Open that one.")
    return found


def record(
    act: str, approval: Approval, by: User | None, address: str | None, **detail: str
) -> None:
    """Enter in the audit log that an approval is put up again; nobody's act is the platform's."""
    audit.record(
        act,
        subject=approval,
        actor=by,
        project=approval.project,
        address=address,
        task=approval.task.label,
        **detail,
    )
