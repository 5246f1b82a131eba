"""What one person types to approve or allow what is dangerous: the task's label, where nobody else does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from approvals.models import CallApproval
from approvals.requirements import Required
from projects.exceptions import InvalidInput

if TYPE_CHECKING:
    from approvals.rights import Decidable

MOST = 60  # characters; a label is far shorter
_TO_APPROVE = "This is high risk, and one signature is enough: type {label} to approve it. Nothing was signed."
_TO_ALLOW = (
    "This is high risk, and one permission is enough: type {label} to allow it. Nothing was called."
)


def fits(typed: str, label: str) -> bool:
    """Tell whether this is the label, in whatever case and with whatever blanks around it."""
    return typed.strip().casefold() == label.casefold()


def is_asked(approval: Decidable) -> bool:
    """Tell whether the sealed policy asks who decides for it to type its task's label."""
    return Required.sealed(approval.snapshot).typed


def require_typed(approval: Decidable, typed: str) -> None:
    """Raise InvalidInput that names what to type, where the sealed policy asks for it.

    Of every decision for it anew: what was typed before is no look at what waits now.
    """
    label = approval.task.label
    if is_asked(approval) and not fits(typed, label):
        told = _TO_ALLOW if isinstance(approval, CallApproval) else _TO_APPROVE
        raise InvalidInput("confirmation", told.format(label=label))
