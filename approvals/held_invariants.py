"""The invariants of signatures that hold on a main that has moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from approvals import origins, proving
from approvals.exceptions import Refused
from approvals.models import Approval
from projects.invariants import Check, Offence, collect, sql

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEWEST = 500  # each is read whole, as is what it follows
_CHUNK = 20
_SAYS = ", ".join(f"{{0}}.{name}" for name in origins.COPIED)
_CARRIED = f"""
SELECT 'approvals.signature', signature.id::text, 'is no copy of a signature given to what its approval follows'
FROM approvals_signature signature
JOIN approvals_approval approval ON approval.id = signature.approval_id
JOIN approvals_signature given ON given.id = signature.carried_from_id
JOIN approvals_approval fallen ON fallen.id = given.approval_id
WHERE (given.digest, given.nonce) <> (fallen.digest, fallen.nonce)
   OR approval.follows_id IS DISTINCT FROM given.approval_id
   OR ({_SAYS.format("signature")}) IS DISTINCT FROM ({_SAYS.format("given")})
ORDER BY signature.id
"""  # noqa: S608  # names of ours


def _held() -> Iterator[Offence]:
    """Tell of approvals that follow what is not the same, or did not fall stale undone."""
    rows = Approval.objects.filter(follows__isnull=False).select_related("follows")
    for approval in rows.order_by("-id")[:_NEWEST].iterator(chunk_size=_CHUNK):
        if approval.follows is not None and (said := _unlike(approval.follows, approval)):
            yield Offence(table="approvals.approval", pk=str(approval.pk), said=said)


def _unlike(older: Approval, newer: Approval) -> str:
    try:
        proving.require_same(older, newer)
    except Refused as refused:
        return str(refused)
    return ""


CHECKS = (
    Check(
        name="signature-copied",
        sentence="A carried signature says what was given to the approval that its own one follows.",
        find=lambda: sql(_CARRIED),
    ),
    Check(
        name="signatures-hold",
        sentence="Signatures hold only for the same change, which fell stale and was not carried out.",
        find=lambda: collect(_held()),
    ),
)
