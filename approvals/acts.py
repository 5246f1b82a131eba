"""What was done about what waits for a signature or a permission, as the audit log names it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from approvals.models import CallApproval
from projects import audit

if TYPE_CHECKING:
    from approvals.rights import Decidable
    from projects.models import User


def record(
    what: str, approval: Decidable, by: User | None, address: str | None = None, **detail: Any
) -> None:
    """Append one entry about an approval or a call, as `audit.record` does; locks what it locks."""
    kind = "call" if isinstance(approval, CallApproval) else "approval"
    audit.record(
        f"{kind}.{what}",
        subject=approval,
        actor=by,
        project=approval.project,
        address=address,
        **detail,
    )
