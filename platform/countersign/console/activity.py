"""The activity card: which rows it shows, and which of them a page that follows still lacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from countersign.console import timeline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.db.models import QuerySet

    from agents.models import Event, Task
    from countersign.console.task_rows import Rows

TABS = {"steps": "Steps", "events": "All events", "errors": "Errors"}
_LONGEST = 15  # digits of a cursor


@dataclass(frozen=True, kw_only=True)
class Tab:
    """One way to look at what happened."""

    key: str
    word: str
    count: int
    current: bool


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the card shows: the tab, its events, and whether they come after those the page has.

    A live page that shows all events names the last one it has (`after`) and is given only those that
    followed, unless it lacks too many: then it gets the list anew.
    """

    tab: str
    events: QuerySet[Event]
    added: bool = False

    @classmethod
    def of(cls, task: Task, query: Mapping[str, str], *, live: bool) -> Asked:
        """Read what a query asks for."""
        tab = tab_of(query)
        if tab != "events":
            read = timeline.errors if tab == "errors" else timeline.decisions
            return cls(tab=tab, events=read(task))
        after = cursor_of(query, "after") if live else None
        if after is not None and task.last_seq - after <= timeline.ROWS_AT_MOST:
            return cls(tab=tab, events=timeline.after(task, after), added=True)
        newest = timeline.newest(task, before=cursor_of(query, "before"))
        return cls(tab=tab, events=newest)


def tab_of(query: Mapping[str, str]) -> str:
    """Return the tab a query names, else the first."""
    tab = query.get("tab", "")
    return tab if tab in TABS else "steps"


def activity_of(task: Task, rows: Rows, asked: Asked, events: Sequence[Event]) -> dict[str, Any]:
    """Return the card's context; `events` are those that were asked for."""
    if asked.tab == "steps":
        shown = timeline.by_step(task, events, rows.steps, rows.tries, rows.calls)
    else:
        shown = timeline.by_event(events, rows.steps)
    return {
        "tab": asked.tab,
        "tabs": _tabs(task, rows, asked.tab),
        "rows": shown,
        "added": asked.added,
        "earlier": _earlier(shown) if asked.tab == "events" else 0,
    }


def _tabs(task: Task, rows: Rows, current: str) -> list[Tab]:
    counts = {
        "steps": sum(step.started_at is not None for step in rows.steps),
        "events": task.last_seq,
        "errors": rows.errors,
    }
    return [
        Tab(key=key, word=word, count=counts[key], current=key == current)
        for key, word in TABS.items()
    ]


def _earlier(rows: Sequence[timeline.Row]) -> int:
    """Return the seq before which older events remain, or 0."""
    first = rows[0].seq if rows else 0
    return first if first > 1 else 0


def cursor_of(query: Mapping[str, str], name: str) -> int | None:
    """Return the seq a query names, if it is one."""
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST else None
