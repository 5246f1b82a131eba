"""What a person has signed that waits for others still: nothing asks them, and they may look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import DateTimeField, ExpressionWrapper, F, IntegerField
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast

from approvals import counting, deadlines
from approvals.lifecycle import ApprovalState, CallState
from approvals.models import Approval, CallApproval, CallReminder, CallSignature, Signature

if TYPE_CHECKING:
    from django.db.models import Expression, QuerySet

    from projects.across import Mine
    from projects.models import User

SHOWN = 50  # of each are shown; one more is read, to tell that there is more
_NEWEST = 200  # of one person's signatures are looked through: what they signed before was decided


def changes_of(user: User, mine: Mine) -> QuerySet[Any]:
    """Return the changes and reports, by due time, with `title`, `task_number`, `until` when each can
    be decided, how many signatures that `agreed` count, and how many are `needed`."""
    rows = _waiting(Approval.objects.filter(state=ApprovalState.PENDING), Signature, user, mine)
    return _shown(
        rows.annotate(
            round=F("proposal__round"),
            title=KeyTextTransform("title", KeyTransform("proposal", "outline")),
            needed=_needed("outline"),
            until=_until(deadlines.added()),
        ),
        Signature,
    )


def calls_of(user: User, mine: Mine) -> QuerySet[Any]:
    """Return the calls of tools, likewise."""
    rows = _waiting(CallApproval.objects.filter(state=CallState.PENDING), CallSignature, user, mine)
    return _shown(
        rows.annotate(
            title=KeyTextTransform("tool", KeyTransform("call", "snapshot")),
            needed=_needed("snapshot"),
            until=_until(deadlines.added(CallReminder)),
        ),
        CallSignature,
    )


def _waiting(rows: QuerySet[Any], signatures: Any, user: User, mine: Mine) -> QuerySet[Any]:
    newest = signatures.objects.filter(signer=user, verdict__in=counting.AGREES).order_by("-pk")
    asked = counting.asks_again(signatures.objects.all(), user.pk)
    return rows.filter(~asked, pk__in=newest.values("approval")[:_NEWEST], project__in=mine.led)


def _shown(rows: QuerySet[Any], signatures: Any) -> QuerySet[Any]:
    agreed = counting.how_many(signatures.objects.all())
    found: QuerySet[Any] = rows.annotate(task_number=F("task__number"), agreed=agreed)
    return found.only("expires_at").order_by("expires_at", "pk")[: SHOWN + 1]


def _needed(sealed: str) -> Expression:
    policy = KeyTransform("policy", sealed)
    return Cast(KeyTextTransform("signatures_needed", policy), IntegerField())


def _until(added: Any) -> Expression:
    return ExpressionWrapper(F("expires_at") + added, output_field=DateTimeField())
