"""Reads the event log in the order of its transactions, so that no late commit is ever missed.

Not the order of a task: a transaction gets its number before it waits for the task. `seq` is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from django.db import connection

from agents.events import frame
from agents.models import Event

if TYPE_CHECKING:
    from countersign.models import SinkCursor

VERSION = "1"
TOPIC = "countersign.events."
_COUNTED = 100_000  # further behind is not counted

# A transaction below the snapshot's xmin is over, whoever began when: what it wrote is all here.
_NEXT = """
    SELECT id, xact::text FROM agents_event
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


@dataclass(frozen=True, kw_only=True)
class Record:
    """One event as it is sent; (xact, event) is its place in the log."""

    xact: int
    event: int
    topic: str
    kind: str
    body: dict[str, Any]

    @property
    def key(self) -> bytes:
        """Return what a consumer recognises a repeated event by."""
        return str(self.event).encode()

    @property
    def value(self) -> bytes:
        """Return the JSON."""
        return json.dumps(self.body, ensure_ascii=False).encode()

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """Return what a consumer can choose by without reading the value."""
        return [("kind", self.kind.encode()), ("version", VERSION.encode())]

    def shortened(self) -> Self:
        """Return it without its data, for a cluster that does not take a message so large."""
        left_out = {"bytes": len(self.value)}
        return replace(self, body={**self.body, "data": {}, "left_out": left_out})


def after(cursor: SinkCursor, limit: int) -> list[Record]:
    """Return the next events that are committed and that none can come before any more.

    Raises LogRestored where the cursor's transaction has not happened yet.
    """
    with connection.cursor() as database:
        database.execute(_AHEAD, [str(cursor.xact)])
        if database.fetchone()[0]:
            raise LogRestored
        database.execute(_NEXT, [str(cursor.xact), cursor.event, limit])
        places = [(event, int(xact)) for event, xact in database.fetchall()]
    found = Event.objects.select_related("task__project").in_bulk([event for event, _ in places])
    # One may be gone: its whole task was removed in between.
    return [_record(found[event], xact) for event, xact in places if event in found]


def behind(cursor: SinkCursor) -> int:
    """Return how many events wait to be sent, those of unfinished transactions left out."""
    with connection.cursor() as database:
        database.execute(_BEHIND, [str(cursor.xact), cursor.event, _COUNTED])
        count: int = database.fetchone()[0]
    return count


def _record(event: Event, xact: int) -> Record:
    task = event.task
    slug = task.project.slug
    about = {"id": event.pk, "project": slug, "task": str(task.pk), "number": task.number}
    return Record(
        xact=xact,
        event=event.pk,
        topic=f"{TOPIC}{slug}",
        kind=event.kind,
        body={**about, **frame(event)},
    )
