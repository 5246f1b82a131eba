"""What a page's form speaks of: an approval or a call that the person may see, and its name in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.shortcuts import get_object_or_404

from approvals.models import SEAL, Approval, CallApproval

if TYPE_CHECKING:
    import uuid

    from approvals.rights import Decidable
    from countersign.console.requests import PersonRequest


def approval_of(request: PersonRequest, pk: uuid.UUID) -> Approval:
    """Return an approval without its seal, which a change that is 2,000 lines long makes heavy; or 404."""
    rows = Approval.objects.visible_to(request.user).select_related("project", "task")
    return get_object_or_404(rows.defer(*SEAL), pk=pk)


def call_of(request: PersonRequest, pk: uuid.UUID) -> CallApproval:
    """Return a call that people are asked about; or 404."""
    rows = CallApproval.objects.visible_to(request.user).select_related("project", "task")
    return get_object_or_404(rows, pk=pk, free=False)


def named(found: Decidable) -> str:
    """Return what it is called inside a sentence."""
    label = found.task.label
    return f"the call of {label}" if isinstance(found, CallApproval) else label
