"""How the state of a call, and what its tool may do, look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from approvals.lifecycle import CallState
from countersign.console.looks import Look

if TYPE_CHECKING:
    from collections.abc import Mapping

    from approvals.models import CallApproval

_LOOKS = {
    CallState.PENDING: Look(word="Waits for permission", icon="wrench", tone="warn"),
    CallState.ALLOWED: Look(word="Allowed", icon="check", tone="ok"),
    CallState.CALLING: Look(word="Calling", icon="wrench", tone="ink"),
    CallState.DONE: Look(word="Called", icon="check", tone="ok"),
    CallState.FAILED: Look(word="Failed", icon="x", tone="bad"),
    CallState.UNKNOWN: Look(word="Not known whether it landed", icon="triangle-alert", tone="bad"),
    CallState.REFUSED: Look(word="Refused", icon="x", tone="bad"),
    CallState.EXPIRED: Look(word="Expired, not called", icon="timer-off", tone="warn"),
    CallState.WITHDRAWN: Look(word="Withdrawn, not called", icon="x", tone="warn"),
}

_UNDOABLE = Look(word="Allowed", icon="rotate-ccw", tone="ink")


def look_of(call: CallApproval, *, undoable: bool = False) -> Look:
    """Return the look of a call; of one that was allowed and can be undone still, too."""
    return _UNDOABLE if undoable else _LOOKS[CallState(call.state)]


def badge_of(sealed: Mapping[str, Any]) -> Look:
    """Return what the tool may do, by what it says of itself."""
    if sealed["tool"]["read_only"]:
        return Look(word="reads", icon="eye", tone="")
    if sealed["call"]["idempotent"]:
        return Look(word="writes", icon="pen-line", tone="warn")
    return Look(word="writes, cannot be taken back", icon="triangle-alert", tone="bad")
