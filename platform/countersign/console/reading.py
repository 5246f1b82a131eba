"""Who has read a person's note: it is queued, then read before an agent's next turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.lifecycle import TaskState
from countersign.console.looks import Look

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agents.models import Attempt, Event, Step, Task


def is_note(event: Event) -> bool:
    """Tell whether a person wrote it to the agents."""
    return event.kind == "message" and event.data.get("from") == "person"


def look_of(
    note: Event, task: Task, steps: Sequence[Step], tries: Mapping[object, Sequence[Attempt]]
) -> Look:
    """Return how far a note has come.

    An attempt keeps, with each answer of its model, up to which event it was told what people wrote.
    """
    names = [
        step.agent.name
        for step in steps
        if note.step_id in {None, step.pk}
        and any(row.seen_seq >= note.seq for row in tries.get(step.pk, ()))
    ]
    if names:
        return Look(word=f"read by {_all(list(dict.fromkeys(names)))}", icon="check", tone="ok")
    if task.over:
        return Look(word="not read, the task was over", icon="x", tone="muted")
    when = "if a next round begins" if finished(task) else "before the next turn"
    return Look(word=f"queued, read {when}", icon="circle-dashed", tone="muted")


def finished(task: Task) -> bool:
    """Tell whether the agents have no next turn unless somebody asks for changes."""
    return task.state in {TaskState.REVIEW, TaskState.EXECUTING}


def _all(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
