"""Standing grants as pages and the API show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import OuterRef, Subquery
from django.db.models.fields.json import KT

from approvals.calls import windows
from approvals.models import CallApproval

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from approvals.models.standing import StandingQuerySet


def shown(rows: StandingQuerySet) -> QuerySet[Any]:
    """Return them with `state`, whom a page names, and the `server_name` that was sealed.

    `begins_at` is when one comes into force, as things are now, and None once the call it was made
    with cannot be undone any more. `hold_scope` is of the hold that keeps that call from being made,
    and with it the grant from beginning.
    """
    origin = CallApproval.objects.filter(pk=OuterRef("origin_id"))
    early = windows.with_window(origin.filter(windows.keeps_back()))
    found: QuerySet[Any] = rows.with_state().annotate(
        begins_at=Subquery(early.values("undo_until")),
        hold_scope=Subquery(early.filter(may_be_undone=True).values("hold_scope")),
        server_name=Subquery(origin.values_list(KT("snapshot__tool__server"))),
    )
    return found.select_related("project", "agent", "granted_by", "revoked_by")
