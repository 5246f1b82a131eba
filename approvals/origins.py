"""The signature a person gave, of which those of the approvals that follow are copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from approvals.models import Signature

if TYPE_CHECKING:
    from approvals.models import CallSignature

    Marked = Signature | CallSignature

MOST = 40  # times a signature is carried; then somebody looks at it again
COPIED = (
    "signer_id",
    "requester_id",
    "single_person",
    "verdict",
    "note",
    "address",
    "every_file_viewed",
    "on_behalf_of",
    "at",
    "key",
    "mark",
)


def given(signature: Marked) -> Marked | None:
    """Return the signature a person gave, of which this is a copy; itself when it is none.

    None unless every copy on the way says the same, and was carried from what its approval follows.
    """
    for _ in range(MOST + 1):
        source = getattr(signature, "carried_from_id", None)
        if source is None:
            return signature
        rows = Signature.objects.filter(pk=source, approval__follower=signature.approval_id)
        found = rows.first()
        if found is None or not _same(signature, found):
            return None
        signature = found
    return None


def _same(copy: Marked, original: Signature) -> bool:
    return all(getattr(copy, name) == getattr(original, name) for name in COPIED)
