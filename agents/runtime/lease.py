"""Keeps this process's leases alive, and takes back those of processes that died."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection, transaction

from agents import dispatch, ending, escalations, telemetry
from agents.breakers import reserving
from agents.events import Kind
from agents.holds import STEP_IS_HELD
from agents.lifecycle import StepState
from agents.models import Event, Step, Task
from agents.recording import record_all
from projects.failpoints import failpoint

if TYPE_CHECKING:
    import uuid

_OURS = """
step.state = 'leased' AND step.lease_owner = %s AND step.id = ANY(%s)
AND step.lease_until > statement_timestamp()
"""
# Rows are locked in the order every other transaction locks them. A step under a hold is renewed
# too, so that it can be given back, but no longer counts as ours.
_RENEW = f"""
WITH mine AS (SELECT step.id FROM agents_step step WHERE {_OURS} ORDER BY id FOR NO KEY UPDATE),
renewed AS (
    UPDATE agents_step step SET lease_until = statement_timestamp() + %s * interval '1 second'
    FROM mine WHERE step.id = mine.id
    RETURNING step.id, step.attempt, step.task_id, step.project_id, step.agent_id
)
SELECT step.id, step.attempt FROM renewed step WHERE NOT {STEP_IS_HELD}
"""  # noqa: S608  # made of our own constants
_HELD = f"""
SELECT step.id, step.attempt FROM agents_step step WHERE {_OURS} AND NOT {STEP_IS_HELD}
"""  # noqa: S608
_EXPIRED = """
SELECT id FROM agents_step WHERE state = 'leased' AND lease_until < statement_timestamp()
ORDER BY id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
"""
# How many of a step's attempts before this one were lost in a row: after so many a person is asked.
_LOST_BEFORE = """
SELECT step.id, count(tried.id) FILTER (WHERE tried.state = 'lost')
FROM agents_step step
LEFT JOIN LATERAL (
    SELECT id, state FROM agents_attempt
    WHERE step_id = step.id AND number < step.attempt AND number >= step.attempt - %s
) tried ON true
WHERE step.id = ANY(%s) GROUP BY step.id
"""
_END_ATTEMPTS = """
UPDATE agents_attempt attempt SET state = 'lost', finished_at = statement_timestamp(), error = %s
FROM agents_step step
WHERE step.id = ANY(%s) AND attempt.step_id = step.id AND attempt.number = step.attempt
  AND attempt.state = 'running'
"""
_MAKE_READY = """
UPDATE agents_step
SET state = 'ready', available_at = statement_timestamp(), lease_owner = '', lease_until = NULL
WHERE id = ANY(%s) AND state = 'leased'
"""
_WHY = "The worker died or lost its lease."

Held = dict["uuid.UUID", int]  # step: attempt


def renew(owner: str, steps: list[uuid.UUID]) -> Held:
    """Extend the leases of these steps, and return those that are still ours and not held."""
    return _pairs(_RENEW, [owner, steps, settings.LEASE_SECONDS])


def held(owner: str, steps: list[uuid.UUID]) -> Held:
    """Return which of these steps are still ours and not under a person's hold."""
    return _pairs(_HELD, [owner, steps])


def sweep(*, limit: int = 500) -> int:
    """Give up expired leases: the step becomes ready, or a person is asked. Returns how many."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_EXPIRED, [limit])
            ids = [row[0] for row in cursor.fetchall()]
        if not ids:
            return 0
        steps = _load(ids)
        lost = [(step.pk, step.attempt) for step in steps]
        again = {pk for pk, lost in _lost_before(ids).items() if lost + 1 < escalations.TRIES}
        _give_up([step for step in steps if step.pk in again])
        for step in steps:
            if step.pk not in again:
                ending.lose(step)
        failpoint("lease.swept")
    for pk, number in lost:
        telemetry.ended(pk, number)
    return len(ids)


def _load(ids: list[uuid.UUID]) -> list[Step]:
    steps = list(Step.objects.filter(pk__in=ids).order_by("task_id", "id"))
    locked = Task.objects.select_for_update(no_key=True).order_by("pk")
    tasks = {task.pk: task for task in locked.filter(pk__in={step.task_id for step in steps})}
    for step in steps:
        step.task = tasks[step.task_id]
    return steps


def _lost_before(ids: list[uuid.UUID]) -> dict[uuid.UUID, int]:
    with connection.cursor() as cursor:
        cursor.execute(_LOST_BEFORE, [escalations.TRIES - 1, ids])
        return dict(cursor.fetchall())


def _give_up(steps: list[Step]) -> None:
    """Make locked steps ready again, all in a few statements: a dead worker may have held hundreds."""
    if not steps:
        return
    ids = [step.pk for step in steps]
    reserving.write_off(*steps)
    with connection.cursor() as cursor:
        cursor.execute(_END_ATTEMPTS, [_WHY, ids])
        cursor.execute(_MAKE_READY, [ids])
    moved = {"from": StepState.LEASED, "state": StepState.READY, "why": "lease lost"}
    record_all(
        [
            Event(
                task=step.task,
                step=step,
                kind=Kind.STEP_STATE,
                data={**moved, "attempt": step.attempt},
            )
            for step in steps
        ]
    )
    transaction.on_commit(dispatch.ring, robust=True)


def _pairs(statement: str, arguments: list[Any]) -> Held:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        return dict(cursor.fetchall())
