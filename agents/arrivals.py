"""Gives tasks that came in a crowd their first step: intake leaves that to the agents' workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection, transaction

from agents.lifecycle import StepKind, StepState, TaskState
from agents.models import AgentRole, AgentVersion, Step
from projects.inserting import insert_all
from projects.prepared import Prepared

if TYPE_CHECKING:
    import uuid

AT_ONCE = 1_000  # tasks in one transaction
_ROUNDS = 20  # in a row; then what else waits for the database has its turn

# Locks each task: one that was stopped gets no step. Whoever stops one takes its arrival first, and so
# finds the step, or leaves nothing to be found here.
_TAKE = f"""
WITH came AS (
  DELETE FROM agents_arrival WHERE task_id IN (
    SELECT task_id FROM agents_arrival ORDER BY task_id LIMIT {AT_ONCE} FOR UPDATE SKIP LOCKED)
  RETURNING task_id
)
SELECT task.id, task.project_id, task.priority, task.state FROM agents_task task
JOIN came ON came.task_id = task.id ORDER BY task.id FOR NO KEY UPDATE OF task
"""  # noqa: S608  # our own number

# By the index: of a table that a crowd has just left all its dead rows would be read.
_ANY = "SELECT EXISTS (SELECT FROM agents_arrival ORDER BY task_id LIMIT 1)"

_ROUTERS = Prepared(lambda: AgentVersion.objects.in_use(AgentRole.ROUTER)[:1])


def admit_all() -> int:
    """Give every task that came in a crowd its first step, so that the claim is fair among all.

    Return how many were let in. They wait while no router is enabled. Two workers share them.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ANY)
        if cursor.fetchone() == (False,):
            return 0  # as nearly always: a task that comes alone has its step
    admitted = 0
    for _ in range(_ROUNDS):
        admitted += (let_in := _admit())
        if let_in < AT_ONCE:
            break
    return admitted


def _admit() -> int:
    with transaction.atomic():
        router = next(iter(_ROUTERS()), None)
        if router is None:
            return 0
        with connection.cursor() as cursor:
            cursor.execute(_TAKE)
            came = cursor.fetchall()
        insert_all([_step(row, router) for row in came if row[3] == TaskState.QUEUED])
    return len(came)


def _step(row: tuple[uuid.UUID, uuid.UUID, int, str], router: AgentVersion) -> Step:
    """Return the step of `accepting`, which writes it with a task that comes alone."""
    task, project, priority, _ = row
    return Step(
        task_id=task,
        project_id=project,
        priority=priority,
        key="route",
        kind=StepKind.ROUTE,
        agent_id=router.agent_id,
        version_id=router.pk,
        title="Plan the work",
        state=StepState.READY,
    )
