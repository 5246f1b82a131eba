"""Writes the events of many tasks in one statement, numbered as `Task.record` numbers one."""

from __future__ import annotations

import json
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction

from agents.events import announce
from projects import transitions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agents.models import Event

# Numbers are taken under the tasks' row locks, in one order for everybody.
_WRITE = """
WITH given AS (
    SELECT * FROM unnest(%b::uuid[], %b::text[], %b::uuid[], %b::jsonb[])
        WITH ORDINALITY AS given(task_id, kind, step_id, data, place)
), locked AS (
    SELECT task.id, more.events FROM agents_task task
    JOIN (SELECT task_id, count(*) AS events FROM given GROUP BY task_id) more
        ON task.id = more.task_id
    ORDER BY task.id FOR NO KEY UPDATE OF task
), numbered AS (
    UPDATE agents_task task SET last_seq = last_seq + locked.events
    FROM locked WHERE task.id = locked.id
    RETURNING task.id, task.last_seq - locked.events AS before
)
INSERT INTO agents_event (task_id, seq, kind, step_id, data)
SELECT given.task_id,
       numbered.before + row_number() OVER (PARTITION BY given.task_id ORDER BY given.place),
       given.kind, given.step_id, given.data
FROM given JOIN numbered ON numbered.id = given.task_id ORDER BY given.place
RETURNING task_id, seq, id, at, xact
"""


def record_all(given: Iterable[Event]) -> None:
    """Number, write and announce events, those of one task in the given order.

    Locks the tasks, in the order of their ids, until the caller's transaction ends.
    """
    events = list(given)
    if not events:
        return
    with transitions.together():
        ask_record(events)()


def ask_record(events: Sequence[Event]) -> Callable[[], None]:
    """Send what `record_all` sends and return what reads the numbers: of several `sent_together`.

    Announced once they are read, after the commit.
    """
    if not events:
        return lambda: None
    columns: list[list[Any]] = [
        [event.task_id for event in events],
        [event.kind for event in events],
        [event.step_id for event in events],
        [json.dumps(event.data) for event in events],
    ]
    cursor = connection.cursor()
    cursor.execute(_WRITE, columns)

    def read() -> None:
        with cursor:
            _number(events, cursor.fetchall())
        transaction.on_commit(partial(announce, *events), robust=True)

    return read


def _number(events: Sequence[Event], rows: list[tuple[Any, ...]]) -> None:
    written: dict[Any, deque[Any]] = {}
    for row in sorted(rows):
        written.setdefault(row[0], deque()).append(row)
    for event in events:
        _, event.seq, event.pk, event.at, xact = written[event.task_id].popleft()
        event.xact, event.task.last_seq = int(xact), event.seq
