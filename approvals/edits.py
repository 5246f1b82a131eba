"""Which approvals ended because a person edited what was proposed, and what came after them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from approvals.lifecycle import ApprovalState
from approvals.models import SEAL, Approval, Edit

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable


def ended(approvals: Iterable[Approval]) -> dict[uuid.UUID, Edit]:
    """Return the edit that ended each, with who made it; of most lists nothing is asked."""
    maybe = [each.pk for each in approvals if each.state == ApprovalState.STALE]
    if not maybe:
        return {}
    rows = Edit.objects.filter(approval__in=maybe).select_related("person")
    return {row.approval_id: row for row in rows}


def newest_after(approval: Approval) -> Approval | None:
    """Return the newest approval of the task that was sealed after this one, if any was."""
    later = Approval.objects.filter(task=approval.task_id, pk__gt=approval.pk)
    return later.select_related("proposal", "task").defer(*SEAL).order_by("-pk").first()
