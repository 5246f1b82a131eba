"""Quiet hours: by the clock on a person's wall, also on the days it is changed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.utils.timezone import get_default_timezone

from notices.models import Hours

if TYPE_CHECKING:
    from datetime import time, tzinfo

    from django.db.models import QuerySet

    from projects.models import User


def clock_of(person: User) -> tzinfo:
    """Return the clock on a person's wall, as their quiet hours say; else the server's."""
    hours = hours_of(person).first()
    return clock_in(hours.zone if hours else None)


def hours_of(person: User) -> QuerySet[Hours]:
    """Return what says whose clock it is, to be read with others."""
    return Hours.objects.filter(person=person).only("zone")


def clock_in(zone: str | None) -> tzinfo:
    """Return the clock of a zone, if somebody named one that is known; else the server's."""
    return (_zone_of(zone) if zone else None) or get_default_timezone()


def end_of(hours: Hours | None, now: datetime) -> datetime | None:
    """Return when the quiet hours end that `now` lies in, None outside them."""
    zone = _zone_of(hours.zone) if hours else None
    if hours is None or zone is None:
        return None
    local = now.astimezone(zone)
    if not _within(hours.begins, hours.ends, local.time()):
        return None
    day = local.date()
    if local.time() >= hours.ends:  # over midnight
        day += timedelta(days=1)
    end = datetime.combine(day, hours.ends, tzinfo=zone)
    if end.timestamp() <= now.timestamp():
        end = end.replace(fold=1)  # the hour that comes twice: its second pass
    return end if end.timestamp() > now.timestamp() else None


def first_try(hours: Hours | None, now: datetime, *, due: datetime | None = None) -> datetime:
    """Return when an e-mail may leave: now, or when the person's quiet hours end.

    Somebody who said so is written to at once about what is due before that.
    """
    end = end_of(hours, now)
    if end is None or (hours and hours.unless_due and due is not None and due <= end):
        return now
    return end


def _zone_of(name: str) -> ZoneInfo | None:
    """Return the zone; one this machine does not know any more has no quiet hours."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: it names a folder
        return None


def _within(begins: time, ends: time, at: time) -> bool:
    if begins < ends:
        return begins <= at < ends
    return at >= begins or at < ends
