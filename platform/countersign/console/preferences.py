"""The choices of the card "Notifications" under Settings, and reading what was posted back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import TYPE_CHECKING, Any

from countersign.console import drafts
from notices import choosing
from notices.choosing import Chosen, QuietHours, Wish, Wishes
from notices.models import Hours, Kind
from projects.exceptions import InvalidInput

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator, Mapping
    from datetime import time

    from projects.across import Mine
    from projects.models import User

WAYS = {
    "both": ("Bell and e-mail", Wish(bell=True, email=True)),
    "bell": ("Bell only", Wish(bell=True, email=False)),
    "email": ("E-mail only", Wish(bell=False, email=True)),
    "none": ("Not at all", Wish(bell=False, email=False)),
}
_AS_ALL = "all"
EVERYWHERE = "everywhere"
# The fields of the quiet hours.
_TIMES = ("begins", "ends", "zone")
_SWITCHES = ("quiet", "unless_due")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One kind, and the ways to be told of it."""

    name: str
    word: str
    options: list[tuple[str, str, bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The kinds for every project, or for one."""

    title: str
    rows: list[Row]
    differs: bool = False


def shown(person: User, mine: Mine, typed: Mapping[str, str]) -> dict[str, Any]:
    """Return what the card shows; `typed` is what was refused just now."""
    wishes = Wishes.of([person.pk])
    return {
        "everywhere": _group(person, wishes, typed, "", None, _kinds(bool(mine.led))),
        "by_project": [
            _group(
                *(person, wishes, typed, project.name, project.pk),
                _kinds(project.pk in mine.led),
            )
            for project in mine.named
            if len(mine.named) > 1
        ],
        "email_is_on": choosing.email_is_on(),
        "quiet": _quiet(person, typed),
        "zones": choosing.zones(),
    }


def chosen(posted: Mapping[str, str], mine: Mine) -> list[Chosen]:
    """Read the choices: fields that are missing or make no sense change nothing."""
    found = []
    for project, kind in _places(mine):
        way = posted.get(_name(project, kind), "")
        if way in WAYS:
            found.append(Chosen(project=project, kind=kind, wish=WAYS[way][1]))
        elif way == _AS_ALL and project is not None:
            found.append(Chosen(project=project, kind=kind, wish=None))
    return found


def typed(posted: Mapping[str, str], mine: Mine) -> dict[str, str]:
    """Return what was chosen and typed in the card, for the next time it is shown."""
    names = (_name(project, kind) for project, kind in _places(mine))
    return drafts.choices(posted, (*_TIMES, *_SWITCHES, *names))


def hours(posted: Mapping[str, str]) -> QuietHours | None:
    """Read the quiet hours; raises InvalidInput for a time that is none."""
    if posted.get("quiet") != "on":
        return None
    return QuietHours(
        begins=_time(posted.get("begins", "")),
        ends=_time(posted.get("ends", "")),
        zone=posted.get("zone", "").strip(),
        unless_due=posted.get("unless_due") == "on",
    )


def _quiet(person: User, typed: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of the quiet hours: as typed, as kept, or those we would propose."""
    if typed:
        held = {name: typed.get(name, "") for name in _TIMES}
        return held | {name: typed.get(name) == "on" for name in _SWITCHES}
    kept = Hours.objects.filter(person=person).first()
    if kept is None:
        return {"quiet": False, "begins": "20:00", "ends": "07:00", "zone": "UTC"}
    times = {"begins": f"{kept.begins:%H:%M}", "ends": f"{kept.ends:%H:%M}"}
    return {"quiet": True, "zone": kept.zone, "unless_due": kept.unless_due, **times}


def _group(
    person: User,
    wishes: Wishes,
    typed: Mapping[str, str],
    title: str,
    project: uuid.UUID | None,
    kinds: list[Kind],
) -> Group:
    rows = [_row(person, wishes, typed, project, kind) for kind in kinds]
    own = any(wishes.own(person.pk, project, kind) for kind in kinds)
    own = own or any(typed.get(row.name, _AS_ALL) != _AS_ALL for row in rows)
    return Group(title=title, rows=rows, differs=project is not None and own)


def _kinds(lead: bool) -> list[Kind]:  # noqa: FBT001 - whether they may sign
    """Return what somebody can be told of: who signs nothing is never asked to."""
    return [kind for kind in Kind if lead or kind not in (Kind.ASKED, Kind.DUE)]


def _row(
    person: User,
    wishes: Wishes,
    typed: Mapping[str, str],
    project: uuid.UUID | None,
    kind: Kind,
) -> Row:
    own = wishes.own(person.pk, project, kind)
    now = wishes.wish(person.pk, None, kind) if project is None else own
    options = [(key, word, wish == now) for key, (word, wish) in WAYS.items()]
    if project is not None:
        options.insert(0, (_AS_ALL, "As everywhere", own is None))
    name = _name(project, kind)
    if name in typed:
        options = [(key, word, key == typed[name]) for key, word, _ in options]
    return Row(name=name, word=kind.label, options=options)


def _places(mine: Mine) -> Iterator[tuple[uuid.UUID | None, str]]:
    return product((None, *(project.pk for project in mine.named)), Kind.values)


def _name(project: uuid.UUID | None, kind: str) -> str:
    return f"{project or EVERYWHERE}-{kind}"


def _time(text: str) -> time:
    try:
        return datetime.strptime(text.strip()[:5], "%H:%M").time()  # noqa: DTZ007  # of the wall
    except ValueError as error:
        raise InvalidInput("quiet", "Give the quiet hours as times, e.g. 22:00.") from error
