"""Takes ready steps for this process: one statement a batch, fenced by the attempt number."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models.functions import Now

from agents import escalations, meters
from agents.events import Kind
from agents.lifecycle import AttemptState, EscalationState, StepKind, StepState, TaskState
from agents.models import Attempt, Escalation, Step, Task
from agents.models.tasks import Choice, Rule

if TYPE_CHECKING:
    import uuid

logger = logging.getLogger(__name__)

# Steps before tasks is the lock order of the whole floor; nobody waits for a step while it holds
# a task, and SKIP LOCKED never waits.
_CLAIM = """
WITH due AS (
    SELECT step.id FROM agents_step step JOIN agents_task task ON task.id = step.task_id
    WHERE step.state = 'ready' AND step.available_at <= statement_timestamp()
      AND task.state IN ('queued', 'planning', 'working', 'assembling')
    ORDER BY step.priority DESC, step.available_at, step.id
    LIMIT %s FOR UPDATE OF step SKIP LOCKED
)
UPDATE agents_step step
SET state = 'leased', attempt = attempt + 1, lease_owner = %s, reason = '',
    lease_until = statement_timestamp() + %s * interval '1 second', started_at = coalesce(started_at, statement_timestamp())
FROM due WHERE step.id = due.id RETURNING step.id
"""

# The conversation itself is sound: it goes on where it was.
_GOES_ON = frozenset(
    {
        Rule.WALL_CLOCK,
        Rule.MODEL_UNREACHABLE,
        Rule.MODEL_REFUSED,
        Rule.MODEL_OVERLOADED,
        Rule.UNKNOWN_TOOL_CALL,
        Rule.BLOCKED,
    }
)
_FIRST_MOVE = {
    (StepKind.ROUTE, TaskState.QUEUED): TaskState.PLANNING,
    (StepKind.ASSEMBLE, TaskState.WORKING): TaskState.ASSEMBLING,
}


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """One step this process now holds, with the attempt that does it."""

    step: Step
    attempt: Attempt


def claim(owner: str, *, limit: int) -> list[Claimed]:
    """Lease up to `limit` ready steps and open an attempt for each, in one transaction.

    A step whose task has used up a limit, or that cannot begin, goes to a person instead.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_CLAIM, [limit, owner, settings.LEASE_SECONDS])
            ids = [row[0] for row in cursor.fetchall()]
        if not ids:
            return []
        return [one for step in _load(ids) if (one := _taken(step, owner))]


def _taken(step: Step, owner: str) -> Claimed | None:
    try:
        with transaction.atomic():
            one = Claimed(step=step, attempt=_open(step, owner))
            return one if _begin(one) else None
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        # One step that cannot begin must not keep every other step from being claimed.
        logger.exception("step %s cannot begin", step.pk)
    step.refresh_from_db(fields=["state"])
    step.task.refresh_from_db()
    detail = f"“{step.title}” could not begin by a fault in Countersign. What was done is kept."
    escalations.raise_for(step, rule=Rule.FAULT, detail=detail)
    return None


def _load(ids: list[uuid.UUID]) -> list[Step]:
    # Locked before they are read: a task that a sibling step hands to a person is seen as it is.
    held = Task.objects.select_for_update(no_key=True, of=("self",)).filter(steps__in=ids)
    list(held.order_by("pk"))
    steps = Step.objects.filter(pk__in=ids).order_by("task_id", "id")
    found = list(steps.select_related("task__project", "agent", "version__model_profile"))
    tasks: dict[uuid.UUID, Task] = {}
    for step in found:  # one object per task: a move made for one step is seen by the next
        step.task = tasks.setdefault(step.task_id, step.task)
    return found


def _open(step: Step, owner: str) -> Attempt:
    before = step.attempts.order_by("-number").first()
    attempt = Attempt(step=step, number=step.attempt, worker=owner)
    if before is not None and _goes_on(before, step):
        attempt.resumes = before
        attempt.checkpoint, attempt.turns = before.checkpoint, before.turns
        attempt.seen_seq = before.seen_seq
    attempt.save(force_insert=True)
    return attempt


def _goes_on(before: Attempt, step: Step) -> bool:
    """Tell whether the next attempt continues this conversation, or begins anew."""
    if before.state in {AttemptState.LOST, AttemptState.RELEASED}:
        return True
    if before.turns + 1 >= step.max_turns:
        return False  # there would be no turn left to act in
    answered = Escalation.objects.filter(
        step=before.step_id, attempt=before.number, state=EscalationState.RESOLVED
    ).first()
    if answered is None:
        return False
    if answered.choice == Choice.RAISE_LIMIT_ONCE:
        return True
    # A rehearsal has no conversation that a note could change.
    return answered.rule in _GOES_ON and not step.task.rehearsal


def _begin(one: Claimed) -> bool:
    step, task = one.step, one.step.task
    if trip := meters.check(task):
        detail = f"The task's limit is reached: {trip.detail}. What was done so far is kept."
        evidence = {"scope": "task", "limit": trip.limit, "used": trip.used}
        escalations.raise_for(step, rule=Rule(trip.rule), detail=detail, evidence=evidence)
        return False
    if to := _FIRST_MOVE.get((StepKind(step.kind), TaskState(task.state))):
        task.move(to, started_at=task.started_at or Now())
    facts = {"agent": step.agent.slug, "name": step.agent.name, "title": step.title}
    moved = {"from": StepState.READY, "state": StepState.LEASED, "attempt": step.attempt}
    task.record(
        Kind.STEP_STARTED,
        {**moved, **facts, "resumed": one.attempt.resumes_id is not None},
        step=step,
    )
    return True
