"""The card "Out of office" under Settings: what was said, or typed and refused, ready to be changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from approvals import absences
from countersign.console import drafts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from approvals.models import Absence
    from projects.across import Mine
    from projects.models import Project, User

DELEGATE = "delegate-"  # and the key of a project
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class Place:
    """One project, who may stand in there, and who does."""

    project: Project
    people: list[User]
    chosen: str


def shown(person: User, mine: Mine, typed: Mapping[str, str]) -> dict[str, Any]:
    """Return what the card shows; `typed` is what was refused just now."""
    absence = absences.stated(person)
    filled = typed or (_said(absence) if absence else {})
    others = absences.colleagues(person)
    return {
        "absence": absence,
        "last_day": last_day(absence) if absence else None,
        "away": {"first": filled.get("first", ""), "last": filled.get("last", "")},
        "colleagues": [
            Place(
                project=project,
                people=others[project.pk],
                chosen=filled.get(f"{DELEGATE}{project.pk}", ""),
            )
            for project in mine.named
            if others.get(project.pk)
        ],
    }


def typed(posted: Mapping[str, str], mine: Mine) -> dict[str, str]:
    """Return what was typed into the card, for the next time it is shown."""
    delegates = (f"{DELEGATE}{project.pk}" for project in mine.named)
    return drafts.choices(posted, ("first", "last", *delegates))


def last_day(absence: Absence) -> Any:
    """Return a moment of the last day somebody is away."""
    return absence.ends_at - _MOMENT


def _said(absence: Absence) -> dict[str, str]:
    """Return the fields as they would be typed to say the same again."""
    days = {"first": f"{absence.begins_at:%Y-%m-%d}", "last": f"{last_day(absence):%Y-%m-%d}"}
    rows = absence.delegations.all()
    return days | {f"{DELEGATE}{row.project_id}": str(row.delegate_id) for row in rows}
