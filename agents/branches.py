"""How a step that is done again in the same round is told from the one it follows: by its key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q

from agents.lifecycle import StepState

if TYPE_CHECKING:
    from agents.models import Step, Task

_AGAIN = "~"  # no plan can write it: `agents.messages.Slug`


def branch(key: str) -> str:
    """Return the plan's own id of a step: fix for fix, fix~2 and fix~3."""
    return key.partition(_AGAIN)[0]


def is_of(key: str) -> Q:
    """Return the condition that a step does the same as this one."""
    return Q(key=branch(key)) | Q(key__startswith=f"{branch(key)}{_AGAIN}")


def next_key(task: Task, key: str) -> str:
    """Return the key a step gets when it is done once more in the task's round."""
    times = task.steps.filter(is_of(key), round=task.round).count()
    return f"{branch(key)}{_AGAIN}{times + 1}" if times else branch(key)


def still_shown(steps: list[Step]) -> list[Step]:
    """Keep the steps but those that were cancelled because a later one does the same."""
    last = {(branch(step.key), step.round): step.pk for step in steps}
    return [
        step
        for step in steps
        if step.state != StepState.CANCELLED or last[branch(step.key), step.round] == step.pk
    ]


def newest(steps: list[Step]) -> dict[str, Step]:
    """Return the last step of each branch, of steps in the order they were made."""
    return {branch(step.key): step for step in steps}
