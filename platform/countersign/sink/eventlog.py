"""The next events of the log, as they are sent."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from agents import eventlog
from agents.events import frame
from agents.models import Event

if TYPE_CHECKING:
    from countersign.models import SinkCursor

VERSION = "1"
TOPIC = "countersign.events."


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
    """Return the next events in the order of the log; raises LogRestored as that does."""
    places = eventlog.after(cursor, limit)
    found = Event.objects.select_related("task__project").in_bulk([each.event for each in places])
    # One may be gone: its whole task was removed in between.
    return [_record(found[each.event], each.xact) for each in places if each.event in found]


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
