"""The order in which the event log may be read while it is written, so that no late commit is missed.

Not the order of a task: a transaction gets its number before it waits for the task. `seq` is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from django.db import connection

_COUNTED = 100_000  # further behind is not counted

# A transaction below the snapshot's xmin is over, whoever began when: what it wrote is all here.
_NEXT = """
    SELECT xact::text, id, kind FROM agents_event
    WHERE (xact, id) > (%s::text::xid8, %s) AND xact < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY xact, id LIMIT %s
"""
_BEHIND = """
    SELECT count(*) FROM (
        SELECT 1 FROM agents_event WHERE (xact, id) > (%s::text::xid8, %s) LIMIT %s
    ) AS later
"""
_AHEAD = "SELECT %s::text::xid8 >= pg_snapshot_xmax(pg_current_snapshot())"


class LogRestored(Exception):
    """The database has been restored into a server that counts its transactions from a lower
    number, so the place in the log is lost; run `manage.py publish_events --renumber`."""

    def __init__(self) -> None:
        super().__init__(" ".join((self.__doc__ or "").split()))


class Cursor(Protocol):
    """How far somebody has read: the transaction, and in it the event."""

    xact: int
    event: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one event lies in the log, and of which kind it is."""

    xact: int
    event: int
    kind: str


def after(cursor: Cursor, limit: int) -> list[Place]:
    """Return the places of the next events that are committed and that none can come before any more.

    Raises LogRestored where the cursor's transaction has not happened yet.
    """
    with connection.cursor() as database:
        database.execute(_AHEAD, [str(cursor.xact)])
        if database.fetchone()[0]:
            raise LogRestored
        database.execute(_NEXT, [str(cursor.xact), cursor.event, limit])
        return [
            Place(xact=int(xact), event=event, kind=kind)
            for xact, event, kind in database.fetchall()
        ]


def behind(cursor: Cursor) -> int:
    """Return how many events wait to be read, those of unfinished transactions left out."""
    with connection.cursor() as database:
        database.execute(_BEHIND, [str(cursor.xact), cursor.event, _COUNTED])
        count: int = database.fetchone()[0]
    return count
