"""Counts down what a waiting step waits for, in the transaction that finishes its dependency."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models.functions import Now

from agents import dispatch
from agents.lifecycle import StepState
from agents.models import Step, StepDependency

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable

    from agents.models import Task


def lock(step_id: uuid.UUID) -> tuple[Step, list[Step]]:
    """Lock a step and those that need it, in one order for everybody, until the transaction ends.

    Locks steps before tasks: take this lock before the first event.
    """
    dependents = StepDependency.objects.filter(needs=step_id).values_list("step_id", flat=True)
    ids = [step_id, *dependents]
    steps = Step.objects.filter(pk__in=ids).order_by("pk")
    locked = {step.pk: step for step in steps.select_for_update(no_key=True)}
    mine = locked.pop(step_id)
    return mine, [step for step in locked.values() if step.state == StepState.WAITING]


def count_down(dependents: Iterable[Step]) -> None:
    """Tell locked waiting steps that one dependency is done; the last one makes a step ready."""
    for step in dependents:
        if step.waits > 1:
            Step.objects.filter(pk=step.pk).update(waits=step.waits - 1)
        else:
            step.move(StepState.READY, waits=0, available_at=Now())
            transaction.on_commit(dispatch.ring, robust=True)


def recount(task: Task) -> int:
    """Set every counter of a task from its rows and return how many steps became ready."""
    with transaction.atomic():
        steps = {s.pk: s for s in task.steps.select_for_update(no_key=True).order_by("pk")}
        needs: dict[uuid.UUID, int] = {}
        for edge in StepDependency.objects.filter(step__task=task):
            open_ = steps[edge.needs_id].state != StepState.DONE
            needs[edge.step_id] = needs.get(edge.step_id, 0) + open_
        ready = 0
        for step in steps.values():
            if step.state == StepState.WAITING and not needs.get(step.pk, 0):
                step.task = task
                step.move(StepState.READY, waits=0, available_at=Now())
                ready += 1
    return ready
