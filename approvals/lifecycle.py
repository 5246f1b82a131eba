"""The states of approvals and effects, and every legal move."""

from __future__ import annotations

from django.db import models


class ApprovalState(models.TextChoices):
    """How a sealed request for a decision stands or ended."""

    PENDING = "pending", "Waits for a signature"
    APPROVED = "approved", "Approved"
    CHANGES_REQUESTED = "changes_requested", "Sent back"
    REJECTED = "rejected", "Rejected"
    STALE = "stale", "Stale"  # main moved; nothing was merged
    EXPIRED = "expired", "Expired"  # nobody decided in time; nothing was merged
    WITHDRAWN = "withdrawn", "Withdrawn"  # the task was stopped, or the approval undone


_A = ApprovalState
APPROVAL_MOVES: dict[str, frozenset[str]] = {
    _A.PENDING: frozenset(
        {_A.APPROVED, _A.CHANGES_REQUESTED, _A.REJECTED, _A.STALE, _A.EXPIRED, _A.WITHDRAWN}
    ),
    # stale: main moved between the signature and the merge; withdrawn: undone in the window
    _A.APPROVED: frozenset({_A.STALE, _A.WITHDRAWN}),
    _A.CHANGES_REQUESTED: frozenset(),
    _A.REJECTED: frozenset(),
    _A.STALE: frozenset(),
    _A.EXPIRED: frozenset(),
    _A.WITHDRAWN: frozenset(),
}


class EffectState(models.TextChoices):
    """What is known of something done to the outside world."""

    PLANNED = "planned", "Planned"  # may begin at `not_before`
    DOING = "doing", "Doing"  # the intent is on record; after a crash: probe, never retry blindly
    DONE = "done", "Done"
    FAILED = "failed", "Failed"  # surely not done
    UNKNOWN = "unknown", "Unknown"  # nobody can tell; a person must look
    WITHDRAWN = "withdrawn", "Withdrawn"  # undone or stopped before it was sent


_E = EffectState
EFFECT_MOVES: dict[str, frozenset[str]] = {
    _E.PLANNED: frozenset({_E.DOING, _E.WITHDRAWN}),
    # withdrawn: undone or stopped while a hold kept it from being sent
    _E.DOING: frozenset({_E.DONE, _E.FAILED, _E.UNKNOWN, _E.WITHDRAWN}),
    # planned: a person asked to try again; carrying out always begins with a probe
    _E.UNKNOWN: frozenset({_E.DONE, _E.FAILED, _E.PLANNED}),
    _E.DONE: frozenset(),
    _E.FAILED: frozenset({_E.PLANNED}),
    _E.WITHDRAWN: frozenset(),
}


class SignatureVerdict(models.TextChoices):
    """What one person decided."""

    APPROVE = "approve", "Approve"
    REQUEST_CHANGES = "request_changes", "Request changes"
    REJECT = "reject", "Reject"


class CallState(models.TextChoices):
    """How an agent's call of a tool outside stands or ended."""

    PENDING = "pending", "Waits for permission"
    ALLOWED = "allowed", "Allowed"  # a person signed it, or it needs no permission
    CALLING = "calling", "Calling"  # the intent is on record; after a crash: see `calling`
    DONE = "done", "Called"
    FAILED = "failed", "Failed"  # the tool said no, or surely nothing was called
    UNKNOWN = "unknown", "Unknown"  # nobody can tell; a person must look
    REFUSED = "refused", "Refused"
    EXPIRED = "expired", "Expired"  # nobody decided in time; nothing was called
    # its step was stopped before it was made, or the permission undone
    WITHDRAWN = "withdrawn", "Withdrawn"


_C = CallState
CALL_MOVES: dict[str, frozenset[str]] = {
    _C.PENDING: frozenset({_C.ALLOWED, _C.REFUSED, _C.EXPIRED, _C.WITHDRAWN}),
    # failed: what was signed does not hold any more; withdrawn: undone in the window, too
    _C.ALLOWED: frozenset({_C.CALLING, _C.FAILED, _C.WITHDRAWN}),
    # withdrawn: stopped before it was sent
    _C.CALLING: frozenset({_C.DONE, _C.FAILED, _C.UNKNOWN, _C.WITHDRAWN}),
    _C.DONE: frozenset(),
    _C.FAILED: frozenset(),
    _C.UNKNOWN: frozenset(),
    _C.REFUSED: frozenset(),
    _C.EXPIRED: frozenset(),
    _C.WITHDRAWN: frozenset(),
}

# Nobody has said yes or no to it.
CALL_UNDECIDED = (_C.PENDING, _C.EXPIRED, _C.WITHDRAWN)


class CallVerdict(models.TextChoices):
    """What a person decided of a call."""

    ALLOW = "allow", "Allow"
    REFUSE = "refuse", "Refuse"
