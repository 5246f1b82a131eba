"""The activity card: which rows it shows, and which of them a page that follows still lacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from countersign.console import timeline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agents.models import Attempt, Step, Task

TABS = {"steps": "Steps", "events": "All events", "errors": "Errors"}
_LONGEST = 15  # digits of a cursor


@dataclass(frozen=True, kw_only=True)
class Tab:
    """One way to look at what happened."""

    key: str
    word: str
    count: int
    current: bool


def activity_of(
    task: Task,
    steps: Sequence[Step],
    tries: Mapping[object, Sequence[Attempt]],
    query: Mapping[str, str],
    *,
    live: bool,
) -> dict[str, Any]:
    """Return the card's context.

    A live page that shows all events names the last one it has (`after`) and is given only those that
    followed, unless it lacks too many: then it gets the list anew.
    """
    tab = query.get("tab", "")
    tab = tab if tab in TABS else "steps"
    rows, added = _rows(task, steps, tries, tab, query, live=live)
    return {
        "tab": tab,
        "tabs": _tabs(task, steps, tab),
        "rows": rows,
        "added": added,
        "earlier": _earlier(rows) if tab == "events" else 0,
    }


def _rows(
    task: Task,
    steps: Sequence[Step],
    tries: Mapping[object, Sequence[Attempt]],
    tab: str,
    query: Mapping[str, str],
    *,
    live: bool,
) -> tuple[list[timeline.Row], bool]:
    """Return the rows, and whether they come after those the page has."""
    if tab == "errors":
        return timeline.errors(task, steps), False
    if tab == "steps":
        return timeline.by_step(task, steps, tries), False
    after = cursor_of(query, "after") if live else None
    if after is not None and task.last_seq - after <= timeline.ROWS_AT_MOST:
        return timeline.events_after(task, steps, after), True
    return timeline.all_events(task, steps, before=cursor_of(query, "before")), False


def _tabs(task: Task, steps: Sequence[Step], current: str) -> list[Tab]:
    counts = {
        "steps": sum(step.started_at is not None for step in steps),
        "events": task.last_seq,
        "errors": timeline.count_errors(task),
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
