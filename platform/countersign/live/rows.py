"""Reads of the live part, for many watchers in one statement."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import connection

from agents.events import channel
from agents.lifecycle import TASK_TERMINAL, StepState
from countersign.live.frames import Sent

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

PAGE = 200  # events read at once for one watcher

# One snapshot for all: the state and `last_seq` of a task fit the events that are read with them.
_PAGES = f"""
SELECT given.place, task.project_id, task.state, task.last_seq, leased.steps,
       event.seq, event.kind, event.at, event.step_id, event.data::text
FROM unnest(%s::uuid[], %s::bigint[]) WITH ORDINALITY AS given(task_id, after, place)
JOIN agents_task task ON task.id = given.task_id
CROSS JOIN LATERAL (
    SELECT array_agg(id::text) AS steps FROM agents_step
    WHERE task_id = given.task_id AND state = '{StepState.LEASED}'
) leased
LEFT JOIN LATERAL (
    SELECT * FROM agents_event WHERE task_id = given.task_id AND seq > given.after
    ORDER BY seq LIMIT {PAGE}
) event ON true ORDER BY given.place, event.seq
"""  # noqa: S608  # our own number and word


@dataclass(slots=True, kw_only=True)
class Page:
    """Events after a cursor, and how far the task was at that moment."""

    project: uuid.UUID
    last_seq: int
    over: bool
    frames: list[Sent] = field(default_factory=list)
    writing: list[str] = field(default_factory=list)  # steps somebody is writing in now


def pages_after(wanted: Sequence[tuple[uuid.UUID, int]]) -> list[Page | None]:
    """Return the next events of each task after each cursor; None for a task that is not there."""
    found: dict[int, Page] = {}
    with connection.cursor() as cursor:
        cursor.execute(_PAGES, [[task for task, _ in wanted], [after for _, after in wanted]])
        for place, project, state, last_seq, leased, *event in cursor.fetchall():
            page = found.get(place)
            if page is None:
                over = state in TASK_TERMINAL
                writing = [] if over else leased or []
                page = Page(project=project, last_seq=last_seq, over=over, writing=writing)
                found[place] = page
            if event[0] is not None:
                page.frames.append(_sent(*event))
    return [found.get(place) for place in range(1, len(wanted) + 1)]


def _sent(seq: int, kind: str, at: Any, step: uuid.UUID | None, data: str) -> Sent:
    """Return the frame as `agents.events.frame` makes it; plain data are not read for it."""
    if not data.isascii():
        # U+2028 and its like end a line for some readers of streams, though not by the standard.
        data = json.dumps(json.loads(data))
    told = f'"{step}"' if step else "null"
    body = (
        f'{{"seq": {seq}, "kind": {json.dumps(kind)}, "at": "{at.isoformat()}", "step": {told}, '
        f'"data": {data}}}'
    )
    return Sent(body=body, kind=kind, seq=seq)


_BEHIND = """
SELECT task.id, task.last_seq FROM unnest(%s::uuid[], %s::bigint[]) AS given(task_id, seen)
JOIN agents_task task ON task.id = given.task_id WHERE task.last_seq > given.seen
"""


def behind(seen: dict[str, int]) -> dict[str, int]:
    """Return the newest seq of each watched task's channel that has more than was seen there."""
    prefix = channel("")
    ids = {name.removeprefix(prefix): seq for name, seq in seen.items() if name.startswith(prefix)}
    with connection.cursor() as cursor:
        cursor.execute(_BEHIND, [list(ids), list(ids.values())])
        return {channel(pk): seq for pk, seq in cursor.fetchall()}
