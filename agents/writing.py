"""Collects what outcomes change and writes it together, one statement for each kind of row.

Fifty steps that end in the same moment cost what one costs. The rows are locked by the caller; every
UPDATE names the attempt and the state it was read in all the same.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction

from agents import dispatch
from agents.events import Kind
from agents.lifecycle import STEP_MOVES, STEP_SETTLED, TASK_MOVES, StepState
from agents.models import Event, Step
from agents.recording import ask_record
from projects import transitions
from projects.connections import sent_together
from projects.exceptions import TransitionRefused
from projects.inserting import ask_insert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from django.db import models

    from agents.models import Task

_CLOSED = """
UPDATE agents_attempt attempt
SET state = 'finished', finished_at = statement_timestamp(), error = ''
FROM unnest(%b::uuid[], %b::int[]) AS given(step_id, number)
WHERE attempt.step_id = given.step_id AND attempt.number = given.number
    AND attempt.state = 'running'
"""
_STEPS = """
UPDATE agents_step step
SET state = given.state, waits = given.waits, lease_owner = '', lease_until = NULL,
    result = coalesce(given.result, step.result), result_commit = given.result_commit,
    available_at = CASE WHEN given.state = 'ready' THEN statement_timestamp()
        ELSE step.available_at END,
    finished_at = CASE WHEN given.over THEN statement_timestamp() ELSE step.finished_at END
FROM unnest(%b::uuid[], %b::int[], %b::text[], %b::text[], %b::int[], %b::jsonb[], %b::text[],
            %b::bool[])
    AS given(id, attempt, came_from, state, waits, result, result_commit, over)
WHERE step.id = given.id AND step.attempt = given.attempt AND step.state = given.came_from
RETURNING 1
"""
_WAITS = """
UPDATE agents_step step SET waits = given.waits
FROM unnest(%b::uuid[], %b::int[]) AS given(id, waits) WHERE step.id = given.id
"""
_TASKS = """
UPDATE agents_task task
SET state = given.state, title = given.title, base_commit = given.base_commit
FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::text[], %b::text[])
    AS given(id, came_from, state, title, base_commit)
WHERE task.id = given.id AND task.state = given.came_from
RETURNING 1
"""
_MOVE = f"""
WITH closed AS ({_CLOSED}), steps AS ({_STEPS}), tasks AS ({_TASKS})
SELECT (SELECT count(*) FROM steps), (SELECT count(*) FROM tasks)
"""  # noqa: S608  # made of our own constants


class Writes:
    """Changes that are not written yet; the objects say already how it will be."""

    def __init__(self) -> None:
        self._closed: list[Step] = []
        self._steps: list[tuple[Step, str]] = []  # and the state each came from
        self._tasks: list[tuple[Task, str]] = []
        self._counted: dict[Any, Step] = {}
        self._rows: list[models.Model] = []
        self._events: list[Event] = []

    def finish_attempt(self, step: Step) -> None:
        """End the running attempt of the step's number as finished."""
        self._closed.append(step)

    def move_step(
        self,
        step: Step,
        to: str,
        *,
        kind: str = Kind.STEP_STATE,
        data: dict[str, Any] | None = None,
        result: Any = None,
        result_commit: str | None = None,
    ) -> None:
        """Change a locked step's state, with the event; raises TransitionRefused."""
        came_from = step.state
        transitions.check(step, to, STEP_MOVES)
        step.state, step.lease_owner, step.lease_until = to, "", None
        if result is not None:
            step.result = result
        if result_commit is not None:
            step.result_commit = result_commit
        self._steps.append((step, came_from))
        said = {"from": came_from, "state": to, "attempt": step.attempt, **(data or {})}
        self.record(step.task, kind, said, step=step)

    def move_task(self, task: Task, to: str, *, kind: str, data: dict[str, Any]) -> None:
        """Change a locked task's state to one that is not its last, with the event.

        Its title and the commit it begins with are written too.
        """
        came_from = task.state
        transitions.check(task, to, TASK_MOVES)
        task.state = to
        self._tasks.append((task, came_from))
        self.record(task, kind, {"from": came_from, "state": to, **data})

    def record(
        self, task: Task, kind: str, data: dict[str, Any], *, step: Step | None = None
    ) -> None:
        """Append an event of a locked task."""
        self._events.append(Event(task=task, kind=kind, step=step, data=data))

    def count_down(self, dependents: Iterable[Step]) -> None:
        """Tell locked waiting steps that one dependency is done; the last one makes a step ready.

        One that waits for a person as well goes on with what that person decides.
        """
        for step in dependents:
            step.waits = max(0, step.waits - 1)
            self._counted[step.pk] = step

    def add(self, rows: Iterable[models.Model]) -> None:
        """Insert rows, those of one model in this order and the models in the order they came."""
        self._rows += rows

    def write(self) -> None:
        """Write everything, once, in the caller's transaction.

        Raises TransitionRefused when a row is no longer as it was read: nothing of it may be kept.
        """
        self._make_ready()
        if not (self._closed or self._steps or self._tasks or self._rows or self._events):
            return
        with sent_together():
            asked = [self._move(), *self._insert(), ask_record(self._events)]
        for read in asked:
            read()
        if any(step.state == StepState.READY for step in self._touched()):
            transaction.on_commit(dispatch.ring, robust=True)

    def _touched(self) -> Iterator[Step]:
        yield from (step for step, _ in self._steps)
        yield from (row for row in self._rows if isinstance(row, Step))

    def _make_ready(self) -> None:
        waiting: list[Step] = []
        ready: list[Step] = []
        for step in self._counted.values():
            last = not step.waits and step.state == StepState.WAITING
            (ready if last else waiting).append(step)
        if waiting:
            ids, waits = [step.pk for step in waiting], [step.waits for step in waiting]
            with connection.cursor() as cursor:
                cursor.execute(_WAITS, [ids, waits])
        for step in ready:
            self.move_step(step, StepState.READY)

    def _move(self) -> Callable[[], None]:
        """Close attempts, move steps and tasks: they are locked, so in whatever order."""
        if not (self._closed or self._steps or self._tasks):
            return lambda: None
        closed = [(step.pk, step.attempt) for step in self._closed]
        steps = [
            (
                step.pk,
                step.attempt,
                came_from,
                step.state,
                step.waits,
                None if step.result is None else json.dumps(step.result),
                step.result_commit,
                step.state in STEP_SETTLED,
            )
            for step, came_from in self._steps
        ]
        tasks = [
            (task.pk, old, task.state, task.title, task.base_commit) for task, old in self._tasks
        ]
        given = [*_columns(closed, 2), *_columns(steps, 8), *_columns(tasks, 5)]
        cursor = connection.cursor()
        cursor.execute(_MOVE, given)

        def read() -> None:
            with cursor:
                moved_steps, moved_tasks = cursor.fetchone()
            _all_of("step", moved_steps, len(steps))
            _all_of("task", moved_tasks, len(tasks))

        return read

    def _insert(self) -> list[Callable[[], None]]:
        models = dict.fromkeys(type(row) for row in self._rows)
        return [ask_insert([row for row in self._rows if type(row) is model]) for model in models]


def _columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    return [[row[place] for row in rows] for place in range(width)]


def _all_of(what: str, moved: int, expected: int) -> None:
    if moved != expected:
        raise TransitionRefused(f"of {expected} {what}s {expected - moved} had changed meanwhile.")
