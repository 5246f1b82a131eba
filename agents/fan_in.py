"""Counts what a waiting step waits for, up and down, under the row locks of both steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models.functions import Now

from agents.lifecycle import DelegationState, StepState
from agents.models import Delegation, Step, StepDependency, Task
from agents.writing import Writes
from projects.prepared import Given, Prepared

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection, Iterable


_LONG = ("instructions", "acceptance", "files", "feedback")  # read by none who only settles
_WAITING = Prepared(
    lambda: StepDependency.objects.filter(needs__any=Given("needs")).values_list("needs", "step")
)
_LOCKED = Prepared(
    lambda: (
        Step.objects.filter(pk__any=Given("steps"))
        .defer(*_LONG)
        .order_by("pk")
        .select_for_update(no_key=True)
    )
)

# Without what was asked: a text of 100,000 characters that nobody reads who locks.
_LOCKED_TASKS = Prepared(
    lambda: (
        Task.objects.defer("request", "context")
        .filter(pk__any=Given("tasks"))
        .order_by("pk")
        .select_for_update(no_key=True)
    )
)


def lock(step_id: uuid.UUID) -> tuple[Step, list[Step]]:
    """Lock a step and those that need it, as `lock_all` does."""
    return lock_all([step_id])[step_id]


def lock_all(step_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, tuple[Step, list[Step]]]:
    """Lock steps and those that wait for them, in one order for everybody, until the transaction ends.

    A row is one object, whoever waits for it. Locks steps before tasks: take this lock before the
    first event.
    """
    edges = _WAITING(needs=list(step_ids))
    wanted = {*step_ids, *(dependent for _, dependent in edges)}
    locked = {step.pk: step for step in _LOCKED(steps=list(wanted))}
    found: dict[uuid.UUID, tuple[Step, list[Step]]] = {pk: (locked[pk], []) for pk in step_ids}
    for needs, dependent in sorted(edges):
        if counts(locked[dependent]):
            found[needs][1].append(locked[dependent])
    return found


def counts(step: Step) -> bool:
    """Tell whether a step waits for others, if it waits for a person beside them or not."""
    asks = step.state == StepState.WAITING_HUMAN and step.waits > 0
    return asks or step.state == StepState.WAITING


def lock_tasks(tasks: Collection[uuid.UUID]) -> dict[uuid.UUID, Task]:
    """Lock tasks, in one order for everybody and after their steps, and return them by id."""
    return {task.pk: task for task in ask_tasks(tasks)()}


def ask_tasks(tasks: Collection[uuid.UUID]) -> Callable[[], list[Task]]:
    """Send what `lock_tasks` sends and return what reads the rows: of several `sent_together`."""
    return _LOCKED_TASKS.ask(tasks=list(tasks))


def count_down(dependents: Iterable[Step]) -> None:
    """Tell locked waiting steps that one dependency is done; the last one makes a step ready."""
    writes = Writes()
    writes.count_down(dependents)
    writes.write()


def count_up(step: Step, needs: Iterable[Step]) -> None:
    """Let a locked waiting step wait for more steps, none of which is done.

    Before `count_down` of what it waits for already, so that it cannot become ready in between.
    """
    edges = [StepDependency(step=step, needs=need) for need in needs]
    StepDependency.objects.bulk_create(edges)
    step.waits += len(edges)
    Step.objects.filter(pk=step.pk).update(waits=step.waits)


def recount(task: Task) -> int:
    """Set every counter of a task from its rows and return how many steps became ready."""
    with transaction.atomic():
        steps = {s.pk: s for s in task.steps.select_for_update(no_key=True).order_by("pk")}
        waits = dict.fromkeys(steps, 0)
        for edge in open_edges(task, steps.values()):
            waits[edge.step_id] += 1
        ready = 0
        for step in steps.values():
            if not counts(step):
                continue
            if waits[step.pk] or step.state != StepState.WAITING:
                Step.objects.filter(pk=step.pk).update(waits=waits[step.pk])
                continue
            step.task = task
            step.move(StepState.READY, waits=0, available_at=Now())
            ready += 1
    return ready


def open_edges(task: Task, steps: Iterable[Step]) -> list[StepDependency]:
    """Return the dependencies that still hold: not those done, left out, or answered."""
    met = {step.pk for step in steps if step.state == StepState.DONE or step.left_out}
    over = Delegation.objects.filter(task=task).exclude(state=DelegationState.ASKED)
    met.update(over.values_list("answerer_id", flat=True))
    edges = StepDependency.objects.filter(step__task=task)
    return [edge for edge in edges if edge.needs_id not in met]
