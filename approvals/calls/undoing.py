"""Takes the permission of a call back before it is made; the call waits for a person again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents import permitting
from agents.events import Kind
from approvals.calls import sealing, windows
from approvals.calls.deciding import find
from approvals.exceptions import NotAllowed, UndoRefused
from approvals.lifecycle import CallState
from approvals.models import CallApproval, StandingGrant, StandingUse
from approvals.rights import why_not
from approvals.standing import revoking
from projects import audit
from projects.exceptions import TransitionRefused
from projects.failpoints import failpoint

if TYPE_CHECKING:
    import uuid

    from agents.permitting import Held
    from projects.models import User

UNDO = "undo"  # the verdict its event tells
_DUE = (
    "The undo window is over. It is not called yet, but may be at any moment; once its task is paused, "
    "it can be undone."
)
_LET_THROUGH = "A standing grant let it through. Revoke that, and it is not called."
_TOO_LATE = "The undo window is over and the call is being made, or was. What it did stays done."
_AGAIN = "Somebody undid it already; it waits for permission again."
_STOPPED = "Its step was stopped meanwhile. Nothing was called; there is nothing to undo."
_NOTHING = "This call is not allowed; there is nothing to undo."
_MADE = (
    CallState.CALLING,
    CallState.DONE,
    CallState.FAILED,
    CallState.UNKNOWN,
)


def undo(
    call_id: uuid.UUID | str, *, by: User, address: str | None = None, via: str = "session"
) -> CallApproval | None:
    """Withdraw the permission of a call and put it before a person again; return that new request.

    None when it cannot be put before anybody, and its agent was told so. The signatures stay with the
    former request and count no more; a standing grant that was made with it is revoked. Whoever may
    decide on it may undo.
    Locks the step, then the task. Raises UnknownCall (404), NotAllowed (403) and UndoRefused (409).
    Against the effects worker, and of several people at once, the conditional move decides.
    """
    approval = find(call_id, by)
    if refusal := why_not(approval, by, via=via):
        raise NotAllowed(refusal)
    with permitting.held(approval.call_id) as held:
        return _take_back(held, approval, by, address)


def _take_back(
    held: Held, approval: CallApproval, by: User, address: str | None
) -> CallApproval | None:
    reason = f"{by.display_name} undid the permission."
    try:
        undoable = CallApproval.objects.filter(windows.undoable(), pk=approval.pk)
        approval.move(CallState.WITHDRAWN, guard={"pk__in": undoable}, reason=reason)
    except TransitionRefused as error:
        raise UndoRefused(_why_not(approval)) from error
    if not held.waits:
        raise UndoRefused(_STOPPED)
    grants = _lock_what_it_remembers(approval)
    told = {**sealing.facts_of(approval), "by": by.display_name, "note": "", "verdict": UNDO}
    held.task.record(Kind.CALL_DECIDED, told, step=held.step)
    again = sealing.seal_again(held)
    for pk in grants:
        revoking.revoke(pk, by=by, address=address)
    audit.record(
        "call.undone",
        subject=approval,
        actor=by,
        project=approval.project,
        address=address,
        task=held.task.label,
        sealed_anew=str(again.pk) if again else "",
        revoked=[str(pk) for pk in grants],
    )
    failpoint("call.undone")
    return again


def _lock_what_it_remembers(approval: CallApproval) -> list[uuid.UUID]:
    """Lock the standing grant that was made with the permission: it was given by one press, and goes
    with it.

    Before it is sealed anew, since that locks the audit log, which nobody may hold who waits.
    """
    made = StandingGrant.objects.filter(origin=approval, revoked_at=None)
    return list(made.select_for_update(no_key=True).values_list("pk", flat=True))


def _why_not(approval: CallApproval) -> str:
    fresh = CallApproval.objects.get(pk=approval.pk)
    if fresh.state == CallState.WITHDRAWN:
        others = CallApproval.objects.filter(call=fresh.call_id).exclude(pk=fresh.pk)
        return _AGAIN if others.exists() else _STOPPED
    if fresh.state == CallState.ALLOWED:
        return _LET_THROUGH if StandingUse.objects.filter(approval=fresh).exists() else _DUE
    return _TOO_LATE if fresh.state in _MADE else _NOTHING
