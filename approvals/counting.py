"""Which signatures count: those of people who may still sign, for themselves and for whom they stand in.

The database and the invariants know who signed, not who still may: they count all, so they may count
more than is counted here, never fewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Case, Count, F, IntegerField, Max, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Cast, Coalesce

from agents import takeovers
from approvals import rights, standing_in
from approvals.lifecycle import (
    ApprovalState,
    CallState,
    CallVerdict,
    EffectState,
    SignatureVerdict,
)
from approvals.models import CallApproval, CallSignature
from approvals.requirements import Required
from projects import across
from projects.models import Role

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

    from django.db.models import Expression, QuerySet

    from approvals.origins import Marked
    from approvals.rights import Decidable

AGREES = (SignatureVerdict.APPROVE, CallVerdict.ALLOW)


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Whose signatures count, for whom else they do, and which do not any more."""

    signers: set[UUID]
    stood_for: set[UUID]
    lapsed: list[Marked]

    def missing(
        self, approval: Decidable, *more: UUID, stood: standing_in.Stood | None = None
    ) -> list[str]:
        """Return what is still asked for besides these, and besides these `more` who sign now."""
        stood_for = self.stood_for | standing_in.persons(stood or ())
        return Required.now(approval).missing({*self.signers, *more}, stood_for)

    @property
    def told(self) -> dict[str, Any]:
        """Return it as an event tells it, beside how many are needed: names to read, keys to know by."""
        if not self.lapsed:
            return {"signed": len(self.signers)}
        return {
            "signed": len(self.signers),
            "lapsed": [row.signer.display_name for row in self.lapsed],
            "lapsed_people": [str(row.signer_id) for row in self.lapsed],
        }


NOBODY = Counted(signers=set(), stood_for=set(), lapsed=[])


def of(approval: Decidable) -> Counted:
    """Count the signatures an approval has now that agree, in two statements at most."""
    rows = approval.signatures.filter(verdict__in=AGREES).select_related("signer")
    return of_these(approval, list(rows.order_by("id")))


def of_these(approval: Decidable, agreed: Sequence[Marked]) -> Counted:
    """Count these signatures, which agree, by who may sign the approval now."""
    people = {row.signer_id for row in agreed} | _stood_for(agreed)
    may = rights.who_may(approval).filter(pk__in=people)
    return among(agreed, set(may.values_list("pk", flat=True)) if people else set())


def among(agreed: Sequence[Marked], may: Collection[UUID]) -> Counted:
    """Count these signatures, which agree, when these are the people who may sign."""
    count = [row for row in agreed if row.signer_id in may]
    return Counted(
        signers={row.signer_id for row in count},
        stood_for=_stood_for(count).intersection(may),
        lapsed=[row for row in agreed if row.signer_id not in may],
    )


def all_of(agreed: Sequence[Marked]) -> Counted:
    """Count all of these, as of what is over: it was with them."""
    signers = {row.signer_id for row in agreed}
    return Counted(signers=signers, stood_for=_stood_for(agreed), lapsed=[])


def agreeing(signatures: QuerySet[Any]) -> QuerySet[Any]:
    """Return those of these that agree, as the index of each person's says it: one verdict.

    With a list of both, of changes and calls, all are read that the person ever gave.
    """
    calls = signatures.model is CallSignature
    return signatures.filter(verdict=CallVerdict.ALLOW if calls else SignatureVerdict.APPROVE)


def asks_again(signatures: QuerySet[Any], signer: UUID) -> Q:
    """Return the condition that a list of what waits asks this signer: they have not agreed yet, or
    enough have and may all sign, since a right that was lost came back.

    Looked at by row, and at others' signatures only where theirs is. Where a rule names people, or
    an editor must not be the only one, who has signed is not asked: a list cannot tell who stands in.
    """
    agreed = agreeing(signatures).filter(approval=OuterRef("pk"))
    # Read beside the signatures: a list that reads seals for it is not read from its index alone.
    asks_nobody = agreed.filter(
        approval__snapshot__policy__signers=[], approval__snapshot__policy__not_alone__isnull=True
    )
    mine = across.of_each(agreed.filter(signer=signer))
    return ~mine | across.of_each(_enough(asks_nobody))


def lapsed(approval: Decidable, signatures: Sequence[Marked]) -> set[UUID]:
    """Return the keys of those of its signatures that do not count any more; of what is over none."""
    if not _is_open(approval):
        return set()
    agreed = [row for row in signatures if row.verdict in AGREES]
    return {row.pk for row in of_these(approval, agreed).lapsed}


def _is_open(approval: Decidable) -> bool:
    """Tell whether it waits, or what was decided has yet to begin, with another look at who signed."""
    if isinstance(approval, CallApproval):
        return approval.state in {CallState.PENDING, CallState.ALLOWED}
    planned = approval.effects.filter(state=EffectState.PLANNED)
    return approval.state == ApprovalState.PENDING or planned.exists()


def _stood_for(rows: Sequence[Marked]) -> set[UUID]:
    return standing_in.persons(each for row in rows for each in row.on_behalf_of)


def how_many(signatures: QuerySet[Any]) -> Expression:
    """Return how many of these agree with a row of a list and count, as `among` counts them."""
    agreed = agreeing(signatures).filter(approval=OuterRef("pk"))
    alone = When(single_person=True, project__single_person=True, then=_number(_of_leads(agreed)))
    return Coalesce(Case(alone, default=_number(_of_others(agreed))), Value(0))


def _number(agreed: QuerySet[Any]) -> Subquery:
    counted = agreed.order_by().values("approval").annotate(count=Count("signer"))
    return Subquery(counted.values("count"))


def _of_leads(agreed: QuerySet[Any]) -> QuerySet[Any]:
    """Return those of these that count where one person may do everything: see rights.who_may."""
    return agreed.filter(
        signer__is_active=True,
        signer__memberships__project=OuterRef("project"),
        signer__memberships__role=Role.LEAD,
    )


def _of_others(agreed: QuerySet[Any]) -> QuerySet[Any]:
    """Return those of these that count everywhere else: of leads who did no part of the work."""
    may = _of_leads(agreed).exclude(signer=OuterRef("requester"))
    return may.exclude(signer__in=takeovers.by_whom(OuterRef(OuterRef("task"))))


def _enough(agreed: QuerySet[Any]) -> QuerySet[Any]:
    """Return a row where as many of these as are needed are of people who may sign."""
    others = _of_others(agreed)
    # An aggregate: grouped by, its parameters are others to a server that binds them than in HAVING.
    needed = Max(Cast(F("approval__snapshot__policy__signatures_needed"), IntegerField()))
    counted = others.values("approval").annotate(count=Count("signer"), needed=needed)
    enough: QuerySet[Any] = counted.filter(count__gte=F("needed")).values("approval")
    return enough
