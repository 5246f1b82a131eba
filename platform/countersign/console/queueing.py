"""Where a task that has not begun stands in its project's line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import IntegerField, Value
from django.db.models.expressions import RawSQL

from agents.escalations import TASK_GOES_ON
from agents.holds import STEP_IS_HELD
from agents.lifecycle import StepState, TaskState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from agents.models import Step, Task

_COUNTED = 100  # a longer line is not counted to its end
# Projects take turns, so it is the line of its own project that a task stands in (see the claim).
# Only the first hundred by the claim's index are read, whatever they wait for: held or put off, a
# line of a hundred thousand would else be asked about row by row, for every page that looks.
_AHEAD = f"""(
SELECT CASE WHEN count(*) = {_COUNTED} THEN {_COUNTED} ELSE count(*) FILTER (
    WHERE step.available_at <= statement_timestamp() AND {TASK_GOES_ON} AND NOT {STEP_IS_HELD}
) END FROM (
    SELECT * FROM agents_step ready
    WHERE ready.project_id = agents_step.project_id AND ready.state = 'ready'
    ORDER BY ready.priority DESC, ready.available_at, ready.id LIMIT {_COUNTED}
) step
WHERE (-step.priority, step.available_at, step.id)
    < (-agents_step.priority, agents_step.available_at, agents_step.id))"""  # noqa: S608  # made of our own constants


def with_ahead(steps: QuerySet[Step], task: Task) -> QuerySet[Step]:
    """Add how many steps are claimed before each, while the task waits for its first."""
    waits = task.state == TaskState.QUEUED
    counted = RawSQL(_AHEAD, (), IntegerField()) if waits else Value(0)  # noqa: S611  # our own constants
    return steps.annotate(ahead=counted)


def word_of(task: Task, steps: Sequence[Step]) -> str:
    """Return the state of a task that waits for its first step, with its place in the line."""
    ahead = _ahead(task, steps)
    if ahead is None:
        return ""
    return f"Queued, position {ahead + 1}" if ahead < _COUNTED else f"Queued, beyond {_COUNTED}"


def sentence_of(task: Task, steps: Sequence[Step]) -> str:
    """Say what it waits for, when others are before it."""
    ahead = _ahead(task, steps)
    if not ahead:
        return ""
    count = f"{ahead}" if ahead < _COUNTED else f"{_COUNTED} or more"
    before = "1 step goes first" if ahead == 1 else f"{count} steps go first"
    return f"Accepted. In {task.project.name}, {before}; then the router begins."


def _ahead(task: Task, steps: Sequence[Step]) -> int | None:
    if task.state != TaskState.QUEUED:
        return None
    return next((step.ahead for step in steps if step.state == StepState.READY), None)  # type: ignore[attr-defined]
