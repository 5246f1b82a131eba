"""Who may sign an approval or allow a call; asked by the page, by the decision and by the executor alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents import takeovers
from projects import access
from projects.models import Role, User

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from django.db.models import QuerySet

    from approvals.models import Approval, CallApproval
    from projects.across import Mine

    Decidable = Approval | CallApproval


@dataclass(frozen=True, kw_only=True)
class Known:
    """What was read of a person beside an approval: their role, and what they did of the work."""

    lead: bool
    did: str  # the title of a step, or nothing

    @classmethod
    def of(cls, by: User, approval: Decidable) -> Known:
        """Read it."""
        lead = access.is_lead(by, approval.project)
        return cls(lead=lead, did=takeovers.taken_over_by(by, approval.task_id) if lead else "")


def one_person(approval: Decidable) -> bool:
    """Tell whether one person may do everything: sealed and still so, since switching the exception
    off takes it from what waits, too."""
    return approval.single_person and approval.project.single_person


def why_not(
    approval: Decidable, by: User, *, via: str = "session", known: Known | None = None
) -> str:
    """Return why this person may not sign, or an empty text; says nothing of the state."""
    if via != "session":
        return "A token never decides. Sign in and decide on the review page."
    if not by.is_active:
        return "This account is disabled."
    known = known or Known.of(by, approval)
    if not known.lead:
        return "Only a tech lead of this project can decide. Ask an admin for the role."
    alone = one_person(approval)
    if by.pk == approval.requester_id and not alone:
        return "You asked for this work, so somebody else signs it."
    if not alone and known.did:
        return f"You did a part of this work yourself (“{known.did}”), so somebody else signs it."
    return ""


def may_each(rows: Iterable[Any], by: User, mine: Mine) -> set[UUID]:
    """Return the keys of those of which `why_not` says nothing to this person, for the rows of a page.

    Their projects are told by `mine`; each row says as `did_part` whether the person did of its work.
    """
    led = [row for row in rows if row.project_id in mine.led]
    alone = {row.pk for row in led if row.single_person and row.project_id in mine.singles}
    return alone | {row.pk for row in led if row.requester_id != by.pk and not row.did_part}


def who_may(approval: Decidable) -> QuerySet[User]:
    """Return everybody of whom `why_not` says nothing, as a query."""
    leads = User.objects.filter(
        memberships__project=approval.project_id, memberships__role=Role.LEAD, is_active=True
    )
    if one_person(approval):
        return leads
    others = leads.exclude(pk=approval.requester_id)
    return others.exclude(pk__in=takeovers.by_whom(approval.task_id))
