"""What a person decided a moment ago and may undo yet, told on every page: kept in their session.

It is an offer, no right: what was undone or carried out meanwhile says so when it is taken up.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from approvals.lifecycle import ApprovalState, CallState
from approvals.models import Approval, CallApproval
from approvals.requirements import Required

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpRequest

_KEPT = "just_decided"


def keep(request: HttpRequest, decided: Approval | CallApproval) -> None:
    """Offer to undo what was approved or allowed, unless it is carried out at once or waits yet."""
    seconds = Required.sealed(decided.snapshot).undo_seconds
    if decided.state not in {ApprovalState.APPROVED, CallState.ALLOWED} or not seconds:
        return
    until = timezone.now() + timedelta(seconds=seconds)
    request.session[_KEPT] = {
        "of": str(decided.pk),
        "label": decided.task.label,
        "number": decided.task.number,
        "round": decided.proposal.round if isinstance(decided, Approval) else 0,
        "until": until.isoformat(),
    }


def forget(request: HttpRequest, undone: UUID) -> None:
    """Offer this one no more; what was decided since can be undone yet."""
    if request.session.get(_KEPT, {}).get("of") == str(undone):
        del request.session[_KEPT]


def of(request: HttpRequest) -> dict[str, Any] | None:
    """Return what can be undone, until its time is over."""
    kept = request.session.get(_KEPT)
    if not kept:
        return None
    until = datetime.fromisoformat(kept["until"])
    return {**kept, "until": until} if until > timezone.now() else None
