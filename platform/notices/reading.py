"""Reads the event log from where it was read before; what it finds is told in the same transaction."""

from __future__ import annotations

import logging
from itertools import groupby
from typing import TYPE_CHECKING

from django.db import DatabaseError, DataError, IntegrityError, connection, transaction
from django.db.models.functions import Now

from agents import eventlog
from notices import telling
from notices.models import LogPlace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.eventlog import Place

logger = logging.getLogger(__name__)

BATCH = 1_000
_BEFORE_NOW = "SELECT (pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1)"
_LAST = 2**63 - 1  # of a transaction


@transaction.atomic
def read_new(limit: int = BATCH) -> int:
    """Read the next events and note how far; return how many were read.

    Of two processes one reads and the other finds nothing to do: the place is locked.
    """
    place = _locked()
    if place is None:
        return 0
    try:
        found = eventlog.after(place, limit)
    except eventlog.LogRestored:
        logger.warning("the database was restored: people are told of what happens from now on")
        begin()
        return 0
    if found:
        _tell(found)
        moved = {"xact": found[-1].xact, "event": found[-1].event, "moved_at": Now()}
        LogPlace.objects.filter(pk=place.pk).update(**moved)
    return len(found)


def begin() -> None:
    """Begin with what happens from now on: nobody wants to be told of all there ever was."""
    with connection.cursor() as cursor:
        cursor.execute(_BEFORE_NOW)
        (xact,) = cursor.fetchone()
    LogPlace.objects.update_or_create(pk="events", defaults={"xact": xact, "event": _LAST})


def step_over_what_is_written() -> None:
    """Step over what this transaction has written to the log, and all that lies before it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        (xact,) = cursor.fetchone()
    LogPlace.objects.filter(pk="events").update(xact=xact, event=_LAST)


def _tell(found: list[Place]) -> None:
    """Tell of all at once; where that fails, act by act, then one by one, and step over the rest.

    One event that makes no sense must not keep everybody from being told of what comes after it.
    """
    if _told(found):
        return
    for act in _acts(found):
        if not _told(act):
            for place in act:
                _told([place], last=True)


def _acts(found: list[Place]) -> Iterator[list[Place]]:
    """Return the events of each transaction: people are told of the outcomes of one act once."""
    return (list(act) for _, act in groupby(found, key=lambda place: place.xact))


def _told(places: list[Place], *, last: bool = False) -> bool:
    try:
        with transaction.atomic():
            telling.tell(places)
    except Exception as error:
        if isinstance(error, DatabaseError) and not isinstance(error, _OF_THE_EVENT):
            raise  # the database is away or busy: no fault of these events
        if last:
            logger.exception("nobody is told of event %s, which cannot be read", places[0].event)
        return False
    return True


_OF_THE_EVENT = (DataError, IntegrityError)


def _locked() -> LogPlace | None:
    place = LogPlace.objects.select_for_update(skip_locked=True, no_key=True).first()
    if place is None and not LogPlace.objects.exists():
        begin()  # the migration has done so, too
    return place
