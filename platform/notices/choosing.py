"""What people want to be told of, and how: their choices over what holds without any."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Self
from zoneinfo import available_timezones

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from notices.lifecycle import DeliveryState
from notices.models import Choice, Delivery, Hours, Kind
from projects import audit
from projects.exceptions import InvalidInput
from projects.models import User

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Sequence
    from datetime import time


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """By which channels one person is told of one kind."""

    bell: bool
    email: bool


# People are written to when somebody waits for them.
DEFAULTS = {kind: Wish(bell=True, email=kind != Kind.OUTCOME) for kind in Kind}


@dataclass(frozen=True, slots=True)
class Wishes:
    """The choices of some people, those for all projects and those for one or more."""

    chosen: dict[tuple[uuid.UUID, uuid.UUID | None, str], Wish]

    @classmethod
    def of(cls, people: Iterable[uuid.UUID], project: uuid.UUID | None = None) -> Self:
        """Read them: those for `project` besides those for all, or every one there is."""
        rows = Choice.objects.filter(person__in=list(people))
        if project is not None:
            rows = rows.filter(Q(project=project) | Q(project=None))
        return cls(
            {
                (row.person_id, row.project_id, row.kind): Wish(bell=row.bell, email=row.email)
                for row in rows
            }
        )

    def own(self, person: uuid.UUID, project: uuid.UUID | None, kind: str) -> Wish | None:
        """Return what was chosen for this project and no other, if anything was."""
        return self.chosen.get((person, project, kind))

    def wish(self, person: uuid.UUID, project: uuid.UUID | None, kind: str) -> Wish:
        """Return what holds: the choice for the project, else for all, else the default."""
        for where in (project, None):
            if own := self.own(person, where, kind):
                return own
        return DEFAULTS[Kind(kind)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """One choice as a person makes it; a wish of None goes back to what holds without it."""

    project: uuid.UUID | None
    kind: str
    wish: Wish | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """When a person wants no e-mail."""

    begins: time
    ends: time
    zone: str
    unless_due: bool = False


@cache
def zones() -> tuple[str, ...]:
    """Return the names of all time zones: to look for them is to walk a folder."""
    return tuple(sorted(available_timezones()))


def email_is_on() -> bool:
    """Tell whether this installation has a mail server to send by."""
    return bool(settings.EMAIL_HOST)


@transaction.atomic
def choose(by: User, chosen: Sequence[Chosen], *, address: str | None = None) -> None:
    """Write a person's choices; those not named stay as they are. Locks the person's row."""
    _one_at_a_time(by)
    for each in chosen:
        _write(by, each)
    audit.record("notifications.chosen", subject=by, actor=by, address=address)


@transaction.atomic
def keep_quiet(by: User, hours: QuietHours | None, *, address: str | None = None) -> None:
    """Set a person's quiet hours, or end them; what waits for the old ones is looked at anew.

    Locks the person's row. Raises InvalidInput for an unknown time zone, or hours that begin when
    they end.
    """
    _one_at_a_time(by)
    _set_hours(by, hours)
    audit.record("notifications.quiet_hours", subject=by, actor=by, address=address)


@transaction.atomic
def replace(
    by: User, chosen: Sequence[Chosen], hours: QuietHours | None, *, address: str | None = None
) -> None:
    """Let a person's choices and quiet hours be these and no others; locks and raises as `keep_quiet`."""
    _one_at_a_time(by)
    Choice.objects.filter(person=by).delete()
    for each in chosen:
        _write(by, each)
    _set_hours(by, hours)
    audit.record("notifications.chosen", subject=by, actor=by, address=address, all=True)


def _one_at_a_time(by: User) -> None:
    """Lock the person's row: what two tabs write at once would otherwise stand side by side."""
    User.objects.select_for_update(no_key=True).only("pk").get(pk=by.pk)


def _write(by: User, each: Chosen) -> None:
    row: dict[str, Any] = {"person": by, "project_id": each.project, "kind": each.kind}
    if each.wish is None:
        Choice.objects.filter(**row).delete()
    else:
        wish = {"bell": each.wish.bell, "email": each.wish.email}
        Choice.objects.update_or_create(**row, defaults=wish)


def _set_hours(by: User, hours: QuietHours | None) -> None:
    if hours is None:
        Hours.objects.filter(person=by).delete()
    else:
        _check(hours)
        facts = {name: getattr(hours, name) for name in ("begins", "ends", "zone", "unless_due")}
        Hours.objects.update_or_create(person=by, defaults=facts)
    waiting = Delivery.objects.filter(person=by, state=DeliveryState.WAITING, attempts=0)
    waiting.update(next_at=Now())


def _check(hours: QuietHours) -> None:
    if hours.zone not in zones():
        raise InvalidInput("zone", "This time zone is not known, e.g. Europe/Berlin.")
    if hours.begins == hours.ends:
        raise InvalidInput("ends", "Quiet hours end at another time than they begin.")
