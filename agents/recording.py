"""Writes the events of many tasks in two statements, numbered as `Task.record` numbers one."""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction

from agents.events import announce

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.models import Event

# Numbers are taken under the tasks' row locks, in one order for everybody.
_NUMBER = """
WITH locked AS (
    SELECT task.id, more.events FROM agents_task task
    JOIN unnest(%s::uuid[], %s::int[]) AS more(task_id, events) ON task.id = more.task_id
    ORDER BY task.id FOR NO KEY UPDATE OF task
)
UPDATE agents_task task SET last_seq = last_seq + locked.events
FROM locked WHERE task.id = locked.id RETURNING task.id, task.last_seq
"""
_WRITE = """
INSERT INTO agents_event (task_id, seq, kind, step_id, data)
SELECT * FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::uuid[], %s::jsonb[])
RETURNING task_id, seq, id, at, xact
"""


def record_all(events: Sequence[Event]) -> None:
    """Number, write and announce events, those of one task in the given order.

    Locks the tasks, in the order of their ids, until the caller's transaction ends.
    """
    if not events:
        return
    with transaction.atomic():
        _number(events)
        _write(events)
        transaction.on_commit(partial(announce, *events), robust=True)


def _number(events: Sequence[Event]) -> None:
    counts = Counter(event.task_id for event in events)
    with connection.cursor() as cursor:
        cursor.execute(_NUMBER, [list(counts), list(counts.values())])
        last = dict(cursor.fetchall())
    following = {pk: last[pk] - count for pk, count in counts.items()}
    for event in events:
        following[event.task_id] += 1
        event.seq = event.task.last_seq = following[event.task_id]


def _write(events: Sequence[Event]) -> None:
    columns: list[list[Any]] = [
        [event.task_id for event in events],
        [event.seq for event in events],
        [event.kind for event in events],
        [event.step_id for event in events],
        [json.dumps(event.data) for event in events],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_WRITE, columns)
        written = {(row[0], row[1]): row[2:] for row in cursor.fetchall()}
    for event in events:
        event.pk, event.at, xact = written[event.task_id, event.seq]
        event.xact = int(xact)
