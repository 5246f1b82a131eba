"""What a review says of the approval before it, where somebody undid that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models.fields.json import KeyTransform

from approvals.lifecycle import ApprovalState, SignatureVerdict
from approvals.models import Approval, Signature
from approvals.requirements import Required
from countersign.console import signers

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from projects.together import Found


@dataclass(frozen=True, kw_only=True)
class Undone:
    """Who undid it, who had signed, and what is asked for now if that is something else."""

    by: str  # a sentence
    signed: list[str]
    change: str


def lists_of(approval: Approval) -> dict[str, QuerySet[Any]]:
    """Return what tells it: the approval of the same proposal before this one, and its signatures."""
    same = Approval.objects.filter(proposal=approval.proposal_id, pk__lt=approval.pk)
    before = same.order_by("-pk")[:1]
    signed = Signature.objects.filter(
        approval__in=before.values("pk"), verdict=SignatureVerdict.APPROVE
    )
    return {
        "undone": before.annotate(asked=KeyTransform("policy", "outline")).only("state", "reason"),
        "undone_signatures": signed.only("approval", "signer").order_by("at", "pk"),
        "undone_signers": signers.people(signed.values("signer")),
    }


def told(approval: Approval, found: Found) -> Undone | None:
    """Return what is said of it; None where nothing was undone."""
    before = found.first("undone")
    if before is None or before.state != ApprovalState.WITHDRAWN:
        return None
    names = {person.pk: person.display_name for person in found.rows("undone_signers")}
    was, now = _asked({"policy": before.asked}), _asked(approval.snapshot)
    return Undone(
        by=before.reason,
        signed=[names[row.signer_id] for row in found.rows("undone_signatures")],
        change=f"It asks for {now} now; before, for {was}." if was != now else "",
    )


def _asked(sealed: dict[str, Any]) -> str:
    required = Required.sealed(sealed)
    count = f"{required.signatures} signature{'' if required.signatures == 1 else 's'}"
    return ", ".join([count, *(f"one by {each.sentence}" for each in required.named)])
