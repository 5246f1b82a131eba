"""Hands a task to a person when an approval or its effect cannot go on by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from agents.events import Kind
from agents.lifecycle import TaskState
from agents.models import Escalation
from agents.models.tasks import Choice, Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.models import Task


def escalate(
    task: Task,
    *,
    detail: str,
    evidence: dict[str, Any],
    rule: str = Rule.BLOCKED,
    options: Sequence[str] = (Choice.STOP,),
) -> Escalation:
    """Open an escalation of the whole task; the task waits for a person where it stands."""
    with transaction.atomic():
        escalation = Escalation.objects.create(
            task=task, rule=rule, detail=detail, evidence=evidence, options=list(options)
        )
        task.move(
            TaskState.NEEDS_HUMAN,
            kind=Kind.ESCALATION_RAISED,
            data={"escalation": str(escalation.pk), "rule": rule, "detail": detail},
            state_before_human=task.state,
        )
    return escalation
