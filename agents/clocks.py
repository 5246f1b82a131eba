"""How long agents were at it: by the database's clock, without the time people held them up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import DurationField, F
from django.db.models.expressions import Func

from agents.lifecycle import TaskState

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection
    from datetime import datetime

    from django.db.models.expressions import Combinable

    from agents.models import Task

# The clock runs while agents are at it, not while a person is awaited.
RUNNING = frozenset({TaskState.PLANNING, TaskState.WORKING, TaskState.ASSEMBLING})

# SQL: when the row named `task` of agents_task was held. An agent's hold stops the clock of a task
# only while it has an open step of that agent.
_HELD = """
SELECT range_agg(tstzrange(hold.placed_at, coalesce(hold.lifted_at, 'infinity'))) AS spans
FROM agents_hold hold
WHERE coalesce(hold.lifted_at, 'infinity') > task.created_at AND (
    hold.scope = 'everything' OR hold.task_id = task.id OR hold.project_id = task.project_id
    OR hold.scope = 'agent' AND EXISTS (
        SELECT FROM agents_step step
        WHERE step.task_id = task.id AND step.agent_id = hold.agent_id
          AND step.created_at < coalesce(hold.lifted_at, 'infinity')
          AND coalesce(step.finished_at, 'infinity') > hold.placed_at))
"""
_RAN = """
SELECT range_agg(tstzrange(change.at, change.until)) AS spans FROM (
    SELECT at, data ->> 'state' AS state,
           coalesce(lead(at) OVER (ORDER BY seq), statement_timestamp()) AS until
    FROM agents_event event
    WHERE event.task_id = task.id AND event.step_id IS NULL AND data ?& '{from,state}'
) change WHERE change.state = ANY(%s) AND change.until > change.at
"""
_SUM = "SELECT coalesce(sum(extract(epoch FROM upper(span) - lower(span))), 0)::float8"
_SECONDS = f"""
SELECT task.id, ({_SUM} FROM unnest(ran.spans - coalesce(held.spans, '{{}}')) span)
FROM agents_task task
CROSS JOIN LATERAL ({_RAN}) ran CROSS JOIN LATERAL ({_HELD}) held
WHERE task.id = ANY(%s)
"""  # noqa: S608  # made of our own constants
_FROZEN = f"""
SELECT {_SUM.removeprefix("SELECT ")} FROM agents_task task CROSS JOIN LATERAL ({_HELD}) held
CROSS JOIN LATERAL unnest(
    held.spans * tstzmultirange(tstzrange(coalesce(%s, task.created_at), statement_timestamp()))
) span
WHERE task.id = %s
"""  # noqa: S608  # made of our own constants


def seconds_of(tasks: Collection[uuid.UUID]) -> dict[uuid.UUID, float]:
    """Return how long each task was at work up to now; held time does not count."""
    with connection.cursor() as cursor:
        cursor.execute(_SECONDS, [sorted(RUNNING), list(tasks)])
        return dict(cursor.fetchall())


def frozen_seconds(task: Task, since: datetime | None = None) -> float:
    """Return for how long holds stopped this task's clocks, since a moment or since it was made."""
    with connection.cursor() as cursor:
        cursor.execute(_FROZEN, [since, task.pk])
        return float(cursor.fetchone()[0])


class Frozen(Func):
    """The time a hold stopped what belongs to a task and a project, since a moment, as an interval.

    A deadline that was set at `since` is over when `deadline + Frozen(...) <= Now()`: nothing that
    was sealed is written anew. Holds that overlap count once. An agent's hold stops no person.
    """

    output_field = DurationField()
    template = """(
        SELECT coalesce(sum(upper(span) - lower(span)), interval '0') FROM (
            SELECT unnest(range_agg(tstzrange(
                greatest(hold.placed_at, %(since)s), coalesce(hold.lifted_at, statement_timestamp())
            ))) AS span
            FROM agents_hold hold
            WHERE coalesce(hold.lifted_at, statement_timestamp()) > greatest(hold.placed_at, %(since)s)
              AND (hold.scope = 'everything' OR hold.task_id = %(task)s
                   OR hold.project_id = %(project)s)
        ) spans)"""

    def __init__(self, *, task: str, project: str, since: str | Combinable) -> None:
        since = F(since) if isinstance(since, str) else since
        super().__init__(F(task), F(project), since)

    def as_sql(self, compiler: Any, connection: Any, *_: Any, **__: Any) -> Any:
        """Fill the statement; `since` stands in it twice, and in the order of the text."""
        (task, a), (project, b), (since, c) = (
            compiler.compile(each) for each in self.get_source_expressions()
        )
        return self.template % {"task": task, "project": project, "since": since}, (*c, *c, *a, *b)
