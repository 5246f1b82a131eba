"""Letting a call through by a standing grant: the use is counted once, with the sealing of the call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Exists, F, Func, OuterRef
from django.db.models.functions import Now

from approvals.calls import windows
from approvals.models import CallApproval, StandingGrant, StandingUse
from approvals.standing import granting, proving
from projects import audit
from projects.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Iterable


def count(approval: CallApproval) -> StandingGrant | None:
    """Count one use of a grant that lets an unsaved, sealed call through, and return it.

    In the transaction that seals the call: both are written, or neither. Locks the grant. Of several
    workers at once no more succeed than the grant has uses left.
    """
    return next((each for each in _candidates(approval) if _count(each, approval)), None)


def write(approval: CallApproval, grant: StandingGrant) -> StandingUse:
    """Put the counted use on record, once the call is; its audit entry names both."""
    use = StandingUse.objects.create(grant=grant, approval=approval, number=grant.hits)
    audit.record(
        proving.USED,
        subject=grant,
        actor=None,
        project=approval.project,
        call=str(approval.pk),
        task=approval.task.label,
        granted_by=grant.granted_by.username,
        tool=f"{grant.server}: {grant.tool}",
        number=use.number,
    )
    failpoint("grant.counted")
    transaction.on_commit(lambda: failpoint("grant.committed"))
    return use


def stands(approval: CallApproval) -> bool:
    """Tell whether a call may be sent as far as a standing grant goes: not when that was revoked.

    Locks the grant until the caller's transaction ends, so that revoking it comes before or after.
    """
    use = StandingUse.objects.filter(approval=approval).values("grant")
    found = StandingGrant.objects.select_for_update(no_key=True).filter(pk__in=use).first()
    if found is None:
        return True
    clock = Func(function="clock_timestamp")
    mine = StandingGrant.objects.filter(pk=found.pk, revoked_at=None, expires_at__gt=clock)
    holds = mine.exists()
    failpoint("grant.proven")
    return holds


def _candidates(approval: CallApproval) -> Iterable[StandingGrant]:
    pin = granting.pin_of(approval)
    rows = StandingGrant.objects.in_force().filter(
        project=approval.project, server=pin["server"], tool=pin["tool"]
    )
    found = rows.select_related("granted_by").order_by("expires_at", "id")
    return found[: granting.MOST_OPEN]


def _count(grant: StandingGrant, approval: CallApproval) -> bool:
    if proving.misfit(grant, approval):
        return False
    early = Exists(CallApproval.objects.filter(windows.keeps_back(), pk=OuterRef("origin_id")))
    mine = StandingGrant.objects.in_force().filter(~early, pk=grant.pk)
    if not mine.update(hits=F("hits") + 1, used_at=Now()):
        return False  # somebody had the last use, revoked it, or may still undo what made it
    grant.refresh_from_db(fields=["hits"])
    return True
