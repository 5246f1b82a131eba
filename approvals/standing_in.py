"""Signing for somebody who is out of office: whom a signature counts for, and the proof of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.utils.dateparse import parse_datetime

from approvals import rights, signing
from approvals.deadlines import database_now
from approvals.exceptions import NotCarriedOut, Refused
from approvals.models import Delegation
from approvals.requirements import Required
from projects.models import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from approvals.origins import Marked
    from approvals.rights import Decidable
    from projects.models import User

Stood = list[dict[str, str]]  # as it stands in a signature: delegation, person, name


def for_whom(approval: Decidable, by: User) -> Stood:
    """Return for whom an approving signature of this person counts: absent people a rule names.

    In the transaction that signs: locks the absences, so that none of them ends before it does.
    """
    required = Required.sealed(approval.snapshot)
    named = {UUID(key) for each in required.named for key in each.people} - {by.pk}
    if not named:
        return []
    now = database_now()
    rows = Delegation.objects.select_for_update(of=("absence",), no_key=True).filter(
        delegate=by,
        project=approval.project_id,
        person__in=named,
        absence__at__lte=now,
        absence__begins_at__lte=now,
        absence__ends_at__gt=now,
        absence__ended_at=None,
    )
    found = [
        row
        for row in rows.select_related("absence", "person").order_by("pk")
        if signing.is_genuine_delegation(row) and not rights.why_not(approval, row.person)
    ]
    return [
        {
            "delegation": str(row.pk),
            "person": str(row.person_id),
            "name": row.person.display_name,
        }
        for row in found
    ]


def persons(stood: Iterable[dict[str, str]]) -> set[UUID]:
    """Return the people."""
    return {UUID(each["person"]) for each in stood}


def proven(signature: Marked, approval: Decidable) -> set[UUID]:
    """Return whom a signature, whose mark was proven, counts for besides its signer.

    It counts for nobody who may not sign any more. Raises Refused unless each of them had asked for
    it before, for then and for this project; NotCarriedOut when this worker does not know the key.
    """
    people = [_proven(each, signature, approval) for each in signature.on_behalf_of]
    return {person.pk for person in people if not rights.why_not(approval, person)}


def _proven(said: dict[str, Any], signature: Marked, approval: Decidable) -> User:
    rows = Delegation.objects.select_related("absence", "person").filter(pk=said["delegation"])
    row = rows.first()
    if row is not None and not signing.is_known(row):
        raise NotCarriedOut(
            f"This worker does not know the key {row.key!a} with which {said['name']} named a delegate. "
            "Nothing was carried out; give it COUNTERSIGN_SIGNING_PUBLIC_KEYS, start it again and let "
            "it try again."
        )
    if row is None or not _holds(row, said, signature, approval):
        raise Refused(
            f"{signature.signer.display_name} signed for {said['name']}, who had not asked for that "
            "then. Nothing was carried out; propose it again for another signature."
        )
    return row.person


def _holds(row: Delegation, said: dict[str, Any], signature: Marked, approval: Decidable) -> bool:
    absence = row.absence
    return (
        signing.is_genuine_delegation(row)
        and (str(row.person_id), row.delegate_id) == (said["person"], signature.signer_id)
        and (absence.person_id, row.project_id) == (row.person_id, approval.project_id)
        and absence.at <= signature.at
        and absence.begins_at <= signature.at < absence.ends_at
        and (absence.ended_at is None or signature.at < absence.ended_at)
        and not _had_ended(row, signature)
    )


def _had_ended(row: Delegation, signature: Marked) -> bool:
    """Tell it by the audit log: the row can be set back by whoever may write it."""
    ends = AuditEntry.objects.filter(object_id=str(row.absence_id), action="absence.ended")
    moments = (parse_datetime(end.detail["ended_at"]) for end in ends)
    return any(moment is not None and moment <= signature.at for moment in moments)
