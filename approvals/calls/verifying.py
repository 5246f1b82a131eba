"""Proves that a call about to be made is the one that was allowed, by a person who still may."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from agents import grants
from agents.models import Tool
from approvals import signing, standing_in
from approvals.calls import arguments, windows
from approvals.calls.sealing import covered
from approvals.canonical import digest_of
from approvals.exceptions import NotCarriedOut, Refused
from approvals.lifecycle import CallState, CallVerdict
from approvals.models import CallApproval, StandingUse
from approvals.requirements import Required
from approvals.rights import why_not
from approvals.standing import proving
from projects.models import AuditEntry

if TYPE_CHECKING:
    from uuid import UUID

    from approvals.models import CallSignature

_OVER = (
    "call.done",
    "call.failed",
    "call.unknown",
    "call.refuse",
    "call.expired",
    "call.withdrawn",
    "call.undone",
)
_MAKING = (CallState.ALLOWED, CallState.CALLING)


def require_allowed(approval: CallApproval) -> None:
    """Raise Refused, naming the field, unless the rows still say what was sealed and allowed."""
    if approval.state not in _MAKING:
        raise Refused(f"The call is {approval.state}. Nothing was called.")
    _require_sealed(approval)
    _require_same_row(approval)
    _require_open(approval)
    _require_granted(approval)
    if approval.free:
        _require_free(approval)
    elif use := StandingUse.objects.filter(approval=approval).first():
        proving.require(approval, use)
    else:
        _require_signatures(approval)
        _require_window_over(approval)


def _require_sealed(approval: CallApproval) -> None:
    snapshot = approval.snapshot
    if not hmac.compare_digest(digest_of(snapshot), approval.digest):
        raise _drift("the sealed snapshot and its digest")
    facts = {
        "nonce": (snapshot["nonce"], approval.nonce),
        "expiry": (snapshot["expires_at"], approval.expires_at.isoformat()),
        "single_person": (snapshot["single_person"], approval.single_person),
        "free": (snapshot["free"], approval.free),
        "task": (snapshot["task"]["id"], str(approval.task_id)),
        "step": (snapshot["step"]["id"], str(approval.step_id)),
        "project": (snapshot["project"]["id"], str(approval.project_id)),
        "requester": (snapshot["requester"]["id"], str(approval.requester_id)),
        "call": (snapshot["ledger"]["id"], str(approval.call_id)),
    }
    for name, (sealed, actual) in facts.items():
        if sealed != actual:
            raise _drift(name)


def _require_same_row(approval: CallApproval) -> None:
    """Raise Refused unless the agent's own row still asks for what was sealed."""
    snapshot, call = approval.snapshot, approval.call
    facts = {
        "server": (snapshot["call"]["server"], call.server),
        "tool": (snapshot["call"]["tool"], grants.name_at(call.server, call.tool)),
        "arguments": (snapshot["arguments"], arguments.written(call.arguments)),
        "call id": (snapshot["ledger"]["call_id"], call.call_id),
        "response": (snapshot["ledger"]["response"], call.response),
        "step": (snapshot["step"]["id"], str(call.attempt.step_id)),
    }
    for name, (sealed, actual) in facts.items():
        if sealed != actual:
            raise _drift(f"the agent's {name}")


def _require_open(approval: CallApproval) -> None:
    """Raise NotCarriedOut when the audit log says that it was made or is over: rows can be set back."""
    ends = AuditEntry.objects.filter(object_id=str(approval.pk), action__in=_OVER)
    if end := ends.order_by("id").first():
        raise NotCarriedOut(
            f"The audit log says {end.action} of this call, and yet it was to be made. Nothing was "
            "called now; compare the rows with the audit log."
        )


def _require_granted(approval: CallApproval) -> None:
    sealed, step = approval.snapshot["call"], approval.call.attempt.step
    if grants.outside(step.agent_id, sealed["server"], sealed["tool"]) is None:
        raise Refused(
            f"The tool {sealed['tool']} is no longer offered to this agent. Nothing was called."
        )


def _require_free(approval: CallApproval) -> None:
    sealed = approval.snapshot["call"]
    tools = Tool.objects.select_related("server").filter(server__slug=sealed["server"])
    tool = tools.filter(name=sealed["tool"]).first()
    if tool is None or tool.needs_permission:
        raise Refused("This tool needs a person's permission by now. Nothing was called.")


def _require_signatures(approval: CallApproval) -> None:
    """Raise Refused unless as many as were asked for allowed these arguments, and still may.

    Permissions of others are passed over, as they were when it was decided; not that of who decided it.
    """
    signers: set[UUID] = set()
    stood_for: set[UUID] = set()
    lapsed: list[str] = []
    rows = approval.signatures.filter(verdict=CallVerdict.ALLOW)
    for signature in rows.select_related("signer").order_by("id"):
        _require_covers(signature, approval)
        if why_not(approval, signature.signer):
            lapsed.append(signature.signer.display_name)
            continue
        _require_mark(signature)
        signers.add(signature.signer_id)
        stood_for |= standing_in.proven(signature, approval)
    missing = Required.now(approval).missing(signers, stood_for)
    if lapsed and (missing or approval.decided_by_id not in signers):
        raise Refused(f"{' and '.join(lapsed)} allowed this but may no longer. Nothing was called.")
    if not signers:
        raise Refused("Nobody has allowed this call. Nothing was called.")
    if approval.decided_by_id not in signers:
        raise _drift("the signer")
    if missing:
        raise Refused(f"It still needs {' and '.join(missing)}. Nothing was called.")


def _require_window_over(approval: CallApproval) -> None:
    """Raise Refused while it can be undone: as it was sealed, from the last permission on.

    Their marks cover when they were given, so the row cannot say that it was earlier.
    """
    last = approval.signatures.order_by("at").last()
    if last is None or approval.decided_at is None or approval.decided_at < last.at:
        raise _drift("when it was allowed")
    if not CallApproval.objects.filter(pk=approval.pk, **windows.is_over()).exists():
        raise Refused("It can still be undone, and yet it was to be made. Nothing was called.")


def _require_covers(found: CallSignature, approval: CallApproval) -> None:
    same = hmac.compare_digest(found.digest, covered(approval))
    if not same or found.nonce != approval.nonce:
        raise _drift("the arguments and the signature")
    if found.requester_id != approval.requester_id:
        raise _drift("the signer")


def _require_mark(found: CallSignature) -> None:
    name = found.signer.display_name
    if found.mark and not signing.is_known(found):
        raise NotCarriedOut(
            f"This worker does not know the key {found.key!a} with which {name} allowed it. Nothing "
            "was called, and the agent is told so. Give the worker COUNTERSIGN_SIGNING_PUBLIC_KEYS and "
            "start it again before the agent asks anew."
        )
    if not signing.is_genuine(found):
        raise Refused(f"The permission of {name} carries no mark of this console's key. ")


def _drift(field: str) -> Refused:
    return Refused(f"What would be called is not what was allowed: {field} differ.")
