"""Stops a task: its steps, its attempts and its open questions, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from agents import attempts, delegating, parking, storable
from agents.events import Kind
from agents.lifecycle import (
    ESCALATION_MOVES,
    STEP_SETTLED,
    AttemptState,
    EscalationState,
    StepState,
    TaskState,
)
from agents.models import Arrival, Hold, Task
from agents.models.tasks import Choice
from projects import audit, transitions
from projects.access import require_member
from projects.failpoints import failpoint

if TYPE_CHECKING:
    from agents.models import Step
    from projects.models import User


def stop(task: Task, *, by: User | None, reason: str = "", address: str | None = None) -> None:
    """Cancel the task; running attempts are fenced off at once and end within two seconds.

    `by` None is the platform itself. Raises TransitionRefused when the task is over, NotAllowed.
    """
    if by is not None:
        require_member(by, task.project)
    reason = storable.text(reason.strip())
    with transaction.atomic():
        cancel_steps(task)
        Task.objects.select_for_update(no_key=True).get(pk=task.pk)
        task.refresh_from_db()
        close_escalations(task, by=by, reason=reason)
        _end_pause(task, by=by)
        who = by.display_name if by else "Countersign"
        task.move(
            TaskState.CANCELLED,
            kind=Kind.TASK_FINISHED,
            data={"reason": reason, "by": who},
            reason=reason,
            state_before_human="",
        )
        failpoint("task.stopped")
        audit.record(
            "task.stopped",
            subject=task,
            actor=by,
            project=task.project,
            address=address,
            reason=reason,
        )


def _end_pause(task: Task, *, by: User | None) -> None:
    """Lift the task's own hold: nothing is left that it could stop."""
    paused = Hold.objects.open().filter(task=task)
    paused.update(lifted_at=Now(), lifted_by=by or F("placed_by"))


def cancel_steps(task: Task) -> None:
    """Cancel every step that is not settled; locks all steps of the task, in order."""
    Arrival.objects.filter(task=task).delete()  # waits for whoever gives it its first step just now
    _lock_steps(task)  # waits for a plan that is being written; only a second look sees its steps
    for step in _lock_steps(task):
        if step.state in STEP_SETTLED - {StepState.BLOCKED, StepState.FAILED}:
            continue
        step.task = task
        step.move(StepState.CANCELLED)
        attempts.close(step, AttemptState.CANCELLED)
    delegating.cancel(task)
    parking.cancel(task)


def _lock_steps(task: Task) -> list[Step]:
    return list(task.steps.select_for_update(no_key=True).order_by("pk"))


def close_escalations(task: Task, *, by: User | None, reason: str) -> None:
    """Answer every open question of a task with "stop"."""
    for escalation in task.escalations.filter(state=EscalationState.OPEN):
        transitions.move(
            escalation,
            EscalationState.RESOLVED,
            moves=ESCALATION_MOVES,
            choice=Choice.STOP,
            note=reason,
            resolved_at=Now(),
            resolved_by=by,
        )
        facts = {"escalation": str(escalation.pk), "choice": Choice.STOP, "note": reason}
        task.record(Kind.ESCALATION_RESOLVED, facts, step=escalation.step)
