"""Keeps this process's leases alive, and takes back those of processes that died."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection, transaction

from agents import finishing
from agents.models import Step, Task
from projects.failpoints import failpoint

if TYPE_CHECKING:
    import uuid

# Rows are locked in the order every other transaction locks them.
_RENEW = """
WITH mine AS (
    SELECT id FROM agents_step
    WHERE state = 'leased' AND lease_owner = %s AND id = ANY(%s) AND lease_until > statement_timestamp()
    ORDER BY id FOR NO KEY UPDATE
)
UPDATE agents_step step SET lease_until = statement_timestamp() + %s * interval '1 second'
FROM mine WHERE step.id = mine.id RETURNING step.id, step.attempt
"""
_HELD = """
SELECT id, attempt FROM agents_step
WHERE state = 'leased' AND lease_owner = %s AND id = ANY(%s) AND lease_until > statement_timestamp()
"""
_EXPIRED = """
SELECT id FROM agents_step WHERE state = 'leased' AND lease_until < statement_timestamp()
ORDER BY id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
"""

Held = dict["uuid.UUID", int]  # step: attempt


def renew(owner: str, steps: list[uuid.UUID]) -> Held:
    """Extend the leases of these steps, and return those that are still ours."""
    return _pairs(_RENEW, [owner, steps, settings.LEASE_SECONDS])


def held(owner: str, steps: list[uuid.UUID]) -> Held:
    """Return which of these steps are still ours."""
    return _pairs(_HELD, [owner, steps])


def sweep(*, limit: int = 100) -> int:
    """Give up expired leases: the step becomes ready, or a person is asked. Returns how many."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_EXPIRED, [limit])
            ids = [row[0] for row in cursor.fetchall()]
        steps = Step.objects.filter(pk__in=ids).order_by("task_id", "id")
        tasks: dict[uuid.UUID, Task] = {}
        for step in steps:
            if step.task_id not in tasks:
                locked = Task.objects.select_for_update(no_key=True)
                tasks[step.task_id] = locked.get(pk=step.task_id)
            step.task = tasks[step.task_id]
            finishing.lose(step)
        failpoint("lease.swept")
    return len(ids)


def _pairs(statement: str, arguments: list[Any]) -> Held:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        return dict(cursor.fetchall())
