"""How soon the steps of a task are claimed, compared with other tasks of its project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models, transaction

from agents import dispatch
from agents.lifecycle import STEP_SETTLED
from agents.models import Arrival, Task
from projects import audit
from projects.access import require_member
from projects.exceptions import InvalidInput, NotAllowed, TransitionRefused
from projects.models import Role

if TYPE_CHECKING:
    from projects.models import User


class Priority(models.IntegerChoices):
    """The steps of a task with a higher one are claimed first."""

    LOW = -1, "Low"
    NORMAL = 0, "Normal"
    HIGH = 1, "High"
    URGENT = 2, "Urgent"


def change(task: Task, *, to: str | int, by: User, address: str | None = None) -> None:
    """Give a task and its open steps another priority; those that run are not interrupted.

    Leads only. Raises NotAllowed, InvalidInput, TransitionRefused when the task is over.
    """
    if require_member(by, task.project) != Role.LEAD:
        raise NotAllowed("Only a tech lead of the project can change a task's priority.")
    chosen = {str(value): value for value in Priority.values}.get(str(to))
    if chosen is None:
        raise InvalidInput("priority", f"Choose one of: {', '.join(Priority.labels)}.")
    with transaction.atomic():
        # Whoever gives it its first step just now has the task locked, and is waited for before.
        list(Arrival.objects.filter(task=task).select_for_update().values_list("pk"))
        # Steps before tasks, as everywhere.
        steps = task.steps.exclude(state__in=sorted(STEP_SETTLED))
        list(steps.select_for_update(no_key=True).order_by("pk").values_list("pk"))
        now = Task.objects.select_for_update(no_key=True).get(pk=task.pk)
        if now.over:
            raise TransitionRefused(f"{now.label} is over; nothing of it waits any more.")
        before, task.priority = now.priority, chosen
        Task.objects.filter(pk=task.pk).update(priority=chosen)
        steps.update(priority=chosen)
        facts = {"before": before, "after": chosen}
        audit.record(
            "task.prioritised",
            subject=task,
            actor=by,
            project=task.project,
            address=address,
            **facts,
        )
        transaction.on_commit(dispatch.ring, robust=True)


def word_of(task: Task) -> str:
    """Return the priority in a word."""
    known = task.priority in Priority.values
    return Priority(task.priority).label if known else str(task.priority)
