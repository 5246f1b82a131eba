"""Takes back what was merged: one click puts the revert up, another person signs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from agents import reverting
from approvals import policies
from approvals.exceptions import UnknownApproval
from approvals.lifecycle import ApprovalState, EffectState
from approvals.models import Approval, EffectKind
from projects import access, audit
from projects.exceptions import InvalidInput, NotAllowed, TransitionRefused

if TYPE_CHECKING:
    from agents.models import Task
    from approvals.models import Effect
    from projects.models import Project, User

MAX_REASON = 2_000  # characters


def revert(
    approval: Approval,
    *,
    by: User,
    reason: str = "",
    address: str | None = None,
) -> Task:
    """Prepare the revert of a merged change; return the task that puts it up for signature.

    Who asked for the change or a lead may. Nobody's signature is saved by it: main changes again, so
    it is sealed, and signed by somebody else than who asked for the revert. Twice: the second is
    told of the first. Raises UnknownApproval, NotAllowed, InvalidInput, TransitionRefused.
    """
    found = (
        Approval.objects.visible_to(by)
        .select_related("project", "task__project")
        .filter(pk=approval.pk)
        .first()
    )
    if found is None:
        raise UnknownApproval
    if by.pk != found.requester_id and not access.is_lead(by, found.project):
        raise NotAllowed("Only who asked for it or a tech lead of the project can do this.")
    if refusal := _alone(found.project, by):
        raise NotAllowed(refusal)
    if len(reason) > MAX_REASON:
        raise InvalidInput("reason", f"A reason has at most {MAX_REASON:,} characters.")
    effect = merged(found)
    if effect is None:
        raise TransitionRefused("Nothing of this was merged, so there is nothing to take back.")
    with transaction.atomic():
        made = reverting.start(
            found.task,
            commit=effect.result["commit"],
            base=effect.result["base"],
            reason=reason.strip(),
            by=by,
            address=address,
        )
        audit.record(
            "approval.revert_asked",
            subject=found,
            actor=by,
            project=found.project,
            address=address,
            task=found.task.label,
            revert=made.label,
            commit=effect.result["commit"],
        )
    return made


def _alone(project: Project, by: User) -> str:
    """Return why a revert would wait for ever, or an empty text: who asks for it does not sign it."""
    if project.single_person or any(lead.pk != by.pk for lead in policies.leads_of(project)):
        return ""
    return (
        "No other tech lead of this project could sign the revert, and who asks for it does not. "
        "Nothing was changed. Let somebody else ask for it, or ask an admin for another tech lead."
    )


def merged(approval: Approval) -> Effect | None:
    """Return the merge of this approval that was carried out."""
    if approval.state != ApprovalState.APPROVED:
        return None
    return approval.effects.filter(kind=EffectKind.GIT_MERGE, state=EffectState.DONE).first()
