"""Proves that a call is one a standing grant lets through, by a person who might allow it now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q

from approvals import signing
from approvals.deadlines import database_now
from approvals.exceptions import NotCarriedOut, Refused
from approvals.models import StandingGrant
from approvals.rights import why_not
from approvals.standing import granting, patterns
from projects.models import AuditEntry

if TYPE_CHECKING:
    from approvals.models import CallApproval, StandingUse

MADE, USED, REVOKED = "standing_grant.made", "standing_grant.used", "standing_grant.revoked"


def misfit(grant: StandingGrant, approval: CallApproval) -> str:
    """Return why a grant does not let this call through, or nothing; says nothing of its count.

    Asked when the call is sealed and again before it is sent.
    """
    if not signing.is_genuine_grant(grant):
        return "it carries no mark of this console's key"
    if why := _over(grant) or _other(grant, approval):
        return why
    if why_not(approval, grant.granted_by):
        return f"{grant.granted_by.display_name} may not allow this call"
    return granting.why_none(approval, grant.granted_by)


def _over(grant: StandingGrant) -> str:
    if grant.revoked_at is not None:
        return "it was revoked"
    return "its time is over" if grant.expires_at <= database_now() else ""


def _other(grant: StandingGrant, approval: CallApproval) -> str:
    if grant.project_id != approval.project_id:
        return "it is of another project"
    if grant.agent_id not in {None, approval.step.agent_id}:
        return "it is for another agent"
    if grant.pin != granting.pin_of(approval):
        return "it is for another tool, or the tool has changed"
    return "" if _fits(grant, approval) else "it is for other arguments"


def require(approval: CallApproval, use: StandingUse) -> None:
    """Raise Refused unless the grant lets this call through and this use of it was counted, once.

    NotCarriedOut when this worker does not know the key of its mark.
    """
    grant = StandingGrant.objects.select_related("granted_by").get(pk=use.grant_id)
    name = grant.granted_by.display_name
    if not signing.is_known(grant):
        raise NotCarriedOut(
            f"This worker does not know the key {grant.key!a} of the standing grant of {name}. Nothing "
            "was called, and the agent is told so. Give the worker COUNTERSIGN_SIGNING_PUBLIC_KEYS and "
            "start it again before the agent asks anew."
        )
    why = misfit(grant, approval) or _miscounted(grant, use) or _differs(grant, approval)
    if why:
        raise Refused(
            f"A standing grant of {name} let this through, but {why.removesuffix('.')}. Nothing was "
            "called; when the agent asks again, a person decides."
        )


def _fits(grant: StandingGrant, approval: CallApproval) -> bool:
    try:
        return patterns.fit(patterns.read(grant.patterns), approval.original)
    except ValueError:
        return False


def _differs(grant: StandingGrant, approval: CallApproval) -> str:
    if approval.decided_by_id != grant.granted_by_id or approval.edited:
        return "the call says otherwise"
    return ""


def _miscounted(grant: StandingGrant, use: StandingUse) -> str:
    """Compare the use with the audit log: rows can be set back by whoever may write them."""
    entries = AuditEntry.objects.filter(object_id=str(grant.pk))
    if entries.filter(action=REVOKED).exists():
        return "the audit log says that it was revoked"
    used = entries.filter(action=USED)
    mine = used.filter(detail__call=str(use.approval_id)).order_by("id").first()
    if mine is None or not 1 <= use.number <= grant.max_hits:
        return "this use of it was not counted"
    if used.filter(Q(id__lte=mine.pk)).count() > grant.max_hits:
        return "it was used up"
    return ""
