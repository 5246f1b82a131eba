"""Opens an escalation: the attempt ends, the task waits for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Exists, OuterRef

from agents import attempts, storable
from agents.escalations.offering import completed
from agents.events import Kind
from agents.lifecycle import AttemptState, EscalationState, StepState, TaskState
from agents.models import Escalation, Step, Task
from agents.models.tasks import Rule
from projects.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Iterable

TRIES = 5  # in a row: lost leases, or trouble that did not heal
_AT_WORK = (TaskState.PLANNING, TaskState.WORKING, TaskState.ASSEMBLING, TaskState.NEEDS_HUMAN)


def raise_for(
    step: Step,
    *,
    rule: str,
    detail: str,
    evidence: dict[str, Any] | None = None,
    options: Iterable[str] = (),
) -> Escalation:
    """Open an escalation for a step; its attempt ends, its task waits for a person.

    `options` are those the rule leaves; the ways on that fit the step are added.
    Raises TransitionRefused when the step's attempt has moved on.
    """
    with transaction.atomic():
        detail = storable.text(detail)
        if step.state == StepState.LEASED:
            step.move(StepState.WAITING_HUMAN, reason=detail)
        attempts.close(step, AttemptState.ESCALATED, error=detail)
        return _open(step.task, step, rule, detail, evidence or {}, options)


def raise_on(
    task: Task,
    *,
    rule: str,
    detail: str,
    evidence: dict[str, Any] | None = None,
    options: Iterable[str] = (),
) -> Escalation:
    """Open an escalation for a task as a whole; it waits for a person."""
    with transaction.atomic():
        return _open(task, None, rule, storable.text(detail), evidence or {}, options)


def ask_for_settled(*, limit: int = 50) -> int:
    """Ask about blocked and failed steps that nobody was asked about; returns how many.

    Whoever settles such a step asks in the same transaction; this is for the step that was not.
    """
    asked = Escalation.objects.filter(step=OuterRef("pk"), state=EscalationState.OPEN)
    stuck = Step.objects.filter(
        ~Exists(asked),
        state__in=[StepState.BLOCKED, StepState.FAILED],
        task__state__in=_AT_WORK,
    )
    return sum(_ask_for(step) for step in stuck.order_by("task_id", "id")[:limit])


def _ask_for(found: Step) -> bool:
    with transaction.atomic():
        step = Step.objects.select_for_update(no_key=True).get(pk=found.pk)
        task = Task.objects.select_for_update(no_key=True).get(pk=step.task_id)
        open_ = step.escalations.filter(state=EscalationState.OPEN)
        if step.state != found.state or task.state not in _AT_WORK or open_.exists():
            return False
        step.task = task
        blocked = step.state == StepState.BLOCKED
        raise_for(
            step,
            rule=Rule.BLOCKED if blocked else Rule.FAULT,
            detail=step.reason or f"“{step.title}” {step.state}. What was finished is kept.",
            evidence={"result": step.result} if step.result else {},
        )
    return True


def _open(
    task: Task,
    step: Step | None,
    rule: str,
    detail: str,
    evidence: dict[str, Any],
    options: Iterable[str],
) -> Escalation:
    escalation = Escalation.objects.create(
        task=task,
        step=step,
        attempt=step.attempt if step else 0,
        rule=rule,
        detail=detail,
        evidence=storable.plain(evidence),
        options=completed(options, rule, step),
    )
    facts = {"escalation": str(escalation.pk), "rule": rule, "detail": detail}
    failpoint("escalation.raised")
    task.record(Kind.ESCALATION_RAISED, {**facts, "options": escalation.options}, step=step)
    if task.state != TaskState.NEEDS_HUMAN:
        task.move(TaskState.NEEDS_HUMAN, state_before_human=task.state)
    return escalation
