"""Revoking a standing grant: at once, also for calls it let through that are not sent yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Func

from approvals.models import StandingGrant
from approvals.standing import proving
from approvals.standing.exceptions import UnknownGrant
from projects import access, audit

if TYPE_CHECKING:
    import uuid

    from projects.models import User


def revoke(pk: uuid.UUID, *, by: User, address: str | None = None) -> StandingGrant:
    """Let a grant let nothing through any more; for every tech lead of its project.

    Locks it. Raises UnknownGrant and NotAllowed. Twice: it stays as it was revoked first.
    """
    with transaction.atomic():
        rows = StandingGrant.objects.visible_to(by).select_for_update(no_key=True, of=("self",))
        grant = rows.select_related("project").filter(pk=pk).first()
        if grant is None:
            raise UnknownGrant
        access.require_lead(by, grant.project)
        if grant.revoked_at is not None:
            return grant
        # By the clock and not by when the transaction began: it may have waited for a use.
        now = Func(function="clock_timestamp")
        StandingGrant.objects.filter(pk=pk).update(revoked_at=now, revoked_by=by)
        grant.refresh_from_db(fields=["revoked_at", "revoked_by"])
        audit.record(
            proving.REVOKED,
            subject=grant,
            actor=by,
            project=grant.project,
            address=address,
            tool=f"{grant.server}: {grant.tool}",
            uses=grant.hits,
        )
    return grant
