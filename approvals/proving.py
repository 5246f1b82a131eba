"""Proves that the rows of an approval say what was sealed, and what it follows the very same."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from approvals import origins
from approvals.canonical import digest_of
from approvals.exceptions import Refused
from approvals.holding import difference
from approvals.lifecycle import ApprovalState, EffectState
from approvals.models import Approval

if TYPE_CHECKING:
    from approvals.models import Signature
    from approvals.origins import Marked

_NOTHING_DONE = (EffectState.FAILED, EffectState.WITHDRAWN)


def require_sealed(approval: Approval) -> None:
    """Raise Refused unless the snapshot has the signed digest and names the rows it hangs on."""
    snapshot = approval.snapshot
    if not hmac.compare_digest(digest_of(snapshot), approval.digest):
        raise drift("the sealed snapshot and its digest")
    facts = {
        "nonce": approval.nonce,
        "expires_at": approval.expires_at.isoformat(),
        "single_person": approval.single_person,
    }
    for name, value in facts.items():
        if snapshot[name] != value:
            raise drift(name)
    owners = {
        "task": (snapshot["task"]["id"], approval.task_id),
        "requester": (snapshot["requester"]["id"], approval.requester_id),
        "proposal": (snapshot["proposal"]["id"], approval.proposal_id),
        "policy": (snapshot["policy"]["id"], approval.policy_id),
    }
    for name, (sealed, actual) in owners.items():
        if sealed != str(actual):
            raise drift(name)
    followed = snapshot.get("follows", {}).get("approval")
    if followed != (str(approval.follows_id) if approval.follows_id else None):
        raise drift("what it follows")


def followed_by(approval: Approval) -> list[Approval]:
    """Return what an approval follows, nearest first, down to what was signed.

    Raises Refused, naming what, unless each is sealed, fell stale undone, and is the same change.
    """
    found: list[Approval] = []
    newer = approval
    while newer.follows_id is not None:
        if len(found) >= origins.MOST:
            raise drift(f"more than {origins.MOST} approvals it follows")
        older = Approval.objects.get(pk=newer.follows_id)
        require_same(older, newer)
        found.append(older)
        newer = older
    return found


def require_same(older: Approval, newer: Approval) -> None:
    """Raise Refused, naming what, unless one that fell stale undone is sealed and the same change."""
    require_sealed(older)
    told: dict[str, Any] = newer.snapshot.get("follows", {})
    if (told.get("approval"), told.get("digest")) != (str(older.pk), older.digest):
        raise drift("what it follows")
    if (older.project_id, older.task_id) != (newer.project_id, newer.task_id):
        raise drift("the task of what it follows")
    if older.state != ApprovalState.STALE or not older.main_moved:
        raise drift("the state of what it follows")
    if older.effects.exclude(state__in=_NOTHING_DONE).exists():
        raise drift("an effect of what it follows")
    if differs := difference(older.snapshot, newer.snapshot):
        raise drift(f"{differs} of what was signed before main moved")


def require_given(signature: Signature, approval: Approval) -> Marked:
    """Return the signature a person gave: itself, or of which it is a copy; its mark is yet to be proven.

    Raises Refused unless a copy is one of a signature given to what the approval says.
    """
    if signature.carried_from_id is None:
        return signature
    name = signature.signer.display_name
    original = origins.given(signature)
    told = approval.snapshot.get("follows", {}).get("signed_for", {})
    if original is None or told.get(str(signature.signer_id)) != original.digest:
        raise drift(f"the signature of {name} and the one it copies")
    root = original.approval
    if root.expires_at <= approval.requested_at:
        raise drift(f"the time for which the signature of {name} holds")
    # The mark is of these bytes: rows of what it was given to may have been written anew since.
    if (original.digest, original.nonce) != (root.digest, root.nonce):
        raise drift(f"the signature of {name} and what it was given to")
    return original


def drift(field: str) -> Refused:
    """Return the error that names what is not as it was signed."""
    return Refused(
        f"What would be carried out is not what was signed: {field} differ. "
        "Nothing was merged; propose it again."
    )
