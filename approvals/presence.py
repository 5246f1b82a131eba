"""Who is out of office now, and who stands in for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from approvals.models import Absence, Delegation

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping

    from django.db.models import QuerySet

    from approvals.requirements import Required
    from projects.models import User

Absent = dict["uuid.UUID", dict[str, str]]


def away(person: User) -> Absence | None:
    """Return the absence of somebody who is away now."""
    return Absence.objects.now().filter(person=person).first()


def in_force() -> QuerySet[Delegation]:
    """Return the delegations of those who are away now; chains are not followed."""
    return Delegation.objects.filter(absence__in=Absence.objects.now().values("pk"))


def stand_in(person: User, project: uuid.UUID) -> User | None:
    """Return who stands in for somebody in a project now."""
    found = in_force().filter(person=person, project=project).select_related("delegate").first()
    return found.delegate if found else None


def named(required: Required, absent: Mapping[str, str]) -> tuple[str, ...]:
    """Return which of these absent people the rules name that apply."""
    keys = {key for each in required.named for key in each.people}
    return tuple(name for key, name in absent.items() if key in keys)
