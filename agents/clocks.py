"""How long agents were at it: by the database's clock, without the time people held them up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection
from django.db.models import DurationField
from django.db.models.expressions import Func

from agents.lifecycle import TaskState

if TYPE_CHECKING:
    from django.db.models.expressions import Combinable

    from agents.models import Attempt

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
# SQL: how long agents were at the row named `task` up to now, without the time it was held. Its one
# parameter is `RUNNING`.
SECONDS = f"""
SELECT ({_SUM} FROM unnest(ran.spans - coalesce(held.spans, '{{}}')) span) AS seconds
FROM ({_RAN}) ran CROSS JOIN LATERAL ({_HELD}) held
"""  # noqa: S608  # made of our own constants
# An attempt goes on from those before it that were given back without a person's word; what trouble
# outside took is not theirs. A lost one ran at most until its last heartbeat, a lease ago.
_BEFORE = """
WITH RECURSIVE chain AS (
    SELECT before.* FROM agents_attempt attempt
    JOIN agents_attempt before ON before.id = attempt.resumes_id WHERE attempt.id = %s
    UNION ALL
    SELECT before.* FROM chain JOIN agents_attempt before ON before.id = chain.resumes_id
    WHERE chain.state IN ('released', 'lost', 'asking')
)
SELECT coalesce(sum(greatest(0, extract(epoch FROM finished_at - started_at)
                             - CASE state WHEN 'lost' THEN %s ELSE 0 END)), 0)::float8
FROM chain
WHERE state IN ('lost', 'asking') OR (state = 'released' AND error = '')
"""


def seconds_before(attempt: Attempt) -> float:
    """Return what the attempts that this one goes on from used of its clock.

    An attempt that was drained, held or lost goes on with what was left: neither with a fresh clock
    nor with one that ran on meanwhile. After a person's answer the clock is fresh.
    """
    if attempt.resumes_id is None:
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute(_BEFORE, [attempt.pk, settings.LEASE_SECONDS])
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

    def __init__(self, *, task: Combinable, project: Combinable, since: Combinable) -> None:
        super().__init__(task, project, since)

    def as_sql(self, compiler: Any, connection: Any, *_: Any, **__: Any) -> Any:
        """Fill the statement; `since` stands in it twice, and in the order of the text."""
        (task, a), (project, b), (since, c) = (
            compiler.compile(each) for each in self.get_source_expressions()
        )
        return self.template % {"task": task, "project": project, "since": since}, (*c, *c, *a, *b)
