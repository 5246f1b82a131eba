"""What one person types to approve what is dangerous: the task's label, where nobody else signs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from approvals.requirements import Required
from projects.exceptions import InvalidInput

if TYPE_CHECKING:
    from approvals.rights import Decidable

MOST = 60  # characters; a label is far shorter


def fits(typed: str, label: str) -> bool:
    """Tell whether this is the label, in whatever case and with whatever blanks around it."""
    return typed.strip().casefold() == label.casefold()


def require_typed(approval: Decidable, typed: str) -> None:
    """Raise InvalidInput that names what to type, where the sealed policy asks for it.

    Of every approving decision anew: what was typed before is no look at what waits now.
    """
    label = approval.task.label
    if Required.sealed(approval.snapshot).typed and not fits(typed, label):
        raise InvalidInput(
            "confirmation",
            f"This is high risk, and one signature is enough: type {label} to approve it. "
            "Nothing was signed.",
        )
