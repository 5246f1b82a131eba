"""Being out of office: from when until when, and who stands in for whom."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Func, Prefetch, Q
from django.db.models.functions import Now

from approvals import signing
from approvals.deadlines import database_now
from approvals.models import Absence, Delegation
from projects import audit
from projects.exceptions import InvalidInput
from projects.models import Membership, Role, User

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence
    from datetime import datetime

LONGEST = timedelta(days=366)


def leave(
    person: User,
    *,
    begins_at: datetime,
    ends_at: datetime,
    delegates: Mapping[uuid.UUID, uuid.UUID] | None = None,
    address: str | None = None,
) -> Absence:
    """Put on record that a person is out of office, with a delegate for each project that has one.

    What was said before and is not over ends. Locks the person's row. Raises InvalidInput, and
    CannotSign in a process that has no key.
    """
    signing.require_key()
    chosen = _chosen(person, delegates or {})
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).only("pk").get(pk=person.pk)
        now = database_now()
        begins_at = max(begins_at, now)
        _require_span(begins_at, ends_at, now)
        ended = _end(person)
        absence = Absence(person=person, begins_at=begins_at, ends_at=ends_at, at=now)
        absence.save(force_insert=True)
        for project, delegate in chosen.items():
            row = Delegation(absence=absence, project_id=project, person=person, delegate=delegate)
            signing.mark_delegation(row)
            row.save(force_insert=True)
        _record_ended(ended, person, address)
        _record("absence.stated", absence, person, address, _told(absence, chosen))
    return absence


def come_back(person: User, *, address: str | None = None) -> bool:
    """End what this person said of being away, at once; return whether there was anything."""
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).only("pk").get(pk=person.pk)
        ended = _end(person)
        _record_ended(ended, person, address)
    return bool(ended)


def stated(person: User) -> Absence | None:
    """Return the absence that is or is to come, with its delegations."""
    coming = Absence.objects.filter(person=person, ended_at=None, ends_at__gt=Now())
    rows = Delegation.objects.select_related("delegate", "project")
    return coming.prefetch_related(Prefetch("delegations", rows)).first()


def colleagues(person: User) -> dict[uuid.UUID, list[User]]:
    """Return, by project this person leads, the other tech leads: one of them may stand in."""
    led = Membership.objects.filter(user=person, role=Role.LEAD).values("project")
    rows = Membership.objects.filter(project__in=led, role=Role.LEAD).select_related("user")
    found: dict[uuid.UUID, list[User]] = {}
    for row in rows.filter(user__is_active=True).order_by("user__first_name", "user__username"):
        others = found.setdefault(row.project_id, [])
        if row.user_id != person.pk:
            others.append(row.user)
    return found


def _chosen(person: User, delegates: Mapping[uuid.UUID, uuid.UUID]) -> dict[uuid.UUID, User]:
    offered = colleagues(person)
    chosen = {}
    for project, key in delegates.items():
        found = next((one for one in offered.get(project, ()) if one.pk == key), None)
        if found is None:
            raise InvalidInput(
                "delegates", "Choose another tech lead of the project, in projects you lead."
            )
        chosen[project] = found
    return chosen


def _require_span(begins_at: datetime, ends_at: datetime, now: datetime) -> None:
    if ends_at <= begins_at:
        raise InvalidInput("ends_at", "Name an end that is still to come and after the beginning.")
    if ends_at > now + LONGEST:
        raise InvalidInput("ends_at", "Name an end within a year.")


def _end(person: User) -> list[Absence]:
    """End every absence that is not over, by the clock and not by when the transaction began: who
    signs for this person meanwhile holds the row. Return them; the caller records it last."""
    still = Absence.objects.select_for_update(no_key=True).filter(
        Q(ends_at__gt=Func(function="clock_timestamp")), person=person, ended_at=None
    )
    ended = list(still)
    for absence in ended:
        Absence.objects.filter(pk=absence.pk).update(ended_at=Func(function="clock_timestamp"))
        absence.refresh_from_db(fields=["ended_at"])
    return ended


def _record_ended(ended: Sequence[Absence], by: User, address: str | None) -> None:
    for absence in ended:
        moment = absence.ended_at.isoformat() if absence.ended_at else ""
        _record("absence.ended", absence, by, address, {"ended_at": moment})


def _told(absence: Absence, chosen: Mapping[uuid.UUID, User]) -> dict[str, Any]:
    return {
        "begins_at": absence.begins_at.isoformat(),
        "ends_at": absence.ends_at.isoformat(),
        "delegates": {str(project): person.username for project, person in chosen.items()},
    }


def _record(
    action: str, absence: Absence, by: User, address: str | None, detail: Mapping[str, Any]
) -> None:
    audit.record(action, subject=absence, actor=by, address=address, **detail)
