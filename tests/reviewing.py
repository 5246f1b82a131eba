"""People who decide as the review page has them do it: who approves has looked at every file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from approvals import deciding
from approvals.models import Approval
from tests.approval_fixtures import view_all

if TYPE_CHECKING:
    import uuid

    from approvals.models import Signature
    from projects.models import User


def decide(approval_id: uuid.UUID, *, by: User, verdict: str, **facts: Any) -> Signature:
    """Decide; of what this person approves and can see, each file is marked as viewed first."""
    approval = Approval.objects.visible_to(by).filter(pk=approval_id).first()
    if verdict == "approve" and approval is not None:
        view_all(approval, by)
    return deciding.decide(approval_id, by=by, verdict=verdict, **facts)
