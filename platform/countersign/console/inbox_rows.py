"""What is read beside the rows of the inbox, in one statement: who sees to each, for whom this person
stands in, and the calls of tools that wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from approvals import presence
from approvals.models import Assignment
from countersign.console import signers
from projects import together
from projects.prepared import Given
from projects.together import Ready

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable

    from approvals.models import CallApproval
    from projects.keyset import Place
    from projects.models import User
    from projects.together import Found


@dataclass(frozen=True, kw_only=True)
class Beside:
    """It, by approval and by project."""

    held: dict[uuid.UUID, Assignment]
    absent: presence.Absent
    calls: list[CallApproval]


def beside(
    approvals: Iterable[Any], user: User, calls: Ready | None = None, place: Place | None = None
) -> Beside:
    """Read it for these approvals, and the calls from this place on."""
    lists = {**_lists(), **({"calls": calls} if calls is not None else {})}
    given = {"approvals": [approval.pk for approval in approvals], "people": [user.pk]}
    found = together.read(lists, given={**given, **(place.given if place else {})})
    return Beside(held=_held(found), absent=absent_in(found), calls=found.rows("calls"))


@cache
def _lists() -> dict[str, Ready]:
    held = Assignment.objects.filter(approval__any=Given("approvals"))
    stands_in = presence.in_force().filter(delegate__any=Given("people"))
    lists = {
        "held": held,
        "holders": signers.people(held.values("holder")),
        "stands_in": stands_in,
        "absent": signers.people(stands_in.values("person")),
    }
    return {name: Ready.of(rows) for name, rows in lists.items()}


def urgency(left: timedelta) -> str:
    """Say how soon something is due."""
    if left < timedelta(hours=1):
        return "now"
    return "today" if left < timedelta(hours=24) else "later"


def _held(found: Found) -> dict[uuid.UUID, Assignment]:
    people = by_key(found.rows("holders"))
    for row in found.rows("held"):
        row.holder = people[row.holder_id]
    return {row.approval_id: row for row in found.rows("held")}


def absent_in(found: Found) -> presence.Absent:
    """Return whom a person stands in for, of what was read as `stands_in` and `absent`."""
    people = by_key(found.rows("absent"))
    absent: presence.Absent = {}
    for row in found.rows("stands_in"):
        names = absent.setdefault(row.project_id, {})
        names[str(row.person_id)] = people[row.person_id].display_name
    return absent


def by_key(rows: Iterable[Any]) -> dict[Any, Any]:
    """Return rows by their key."""
    return {row.pk: row for row in rows}
