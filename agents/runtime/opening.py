"""Opens the attempts of steps just leased: a handful of statements for all of them together."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import InterfaceError, OperationalError, connection, transaction

from agents import escalations, meters, parking
from agents.events import Kind
from agents.lifecycle import AttemptState, EscalationState, StepKind, StepState, TaskState
from agents.limits import Limits
from agents.models import AgentVersion, Attempt, Escalation, Event, Step, Task
from agents.models.tasks import Choice, Rule
from agents.recording import ask_record
from agents.runtime.exceptions import CannotBegin
from projects.connections import sent_together
from projects.inserting import ask_insert
from projects.prepared import Given, Prepared

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable

    from agents.limits import Trip

logger = logging.getLogger(__name__)

_Used = dict["uuid.UUID", meters.Used]  # by task

# The conversation itself is sound: it goes on where it was.
_GOES_ON = frozenset(
    {
        Rule.WALL_CLOCK,
        Rule.MODEL_UNREACHABLE,
        Rule.MODEL_REFUSED,
        Rule.MODEL_OVERLOADED,
        Rule.UNKNOWN_TOOL_CALL,
        Rule.BLOCKED,
        # What a person says breaks the circle; the rows from before no longer count.
        Rule.REPEATED_CALL,
        Rule.REPEATED_ERROR,
        Rule.OSCILLATION,
        Rule.NO_PROGRESS,
    }
)
_GAVE_BACK = frozenset({AttemptState.LOST, AttemptState.RELEASED, AttemptState.ASKING})
_FIRST_MOVE = {
    (StepKind.ROUTE, TaskState.QUEUED): TaskState.PLANNING,
    (StepKind.ASSEMBLE, TaskState.WORKING): TaskState.ASSEMBLING,
}
# The rows are locked by the caller, so the states are those that were read.
_MOVE = """
UPDATE agents_task task
SET state = step.state, started_at = coalesce(task.started_at, statement_timestamp())
FROM unnest(%b::uuid[], %b::text[]) AS step(task_id, state)
WHERE task.id = step.task_id RETURNING task.id, task.started_at
"""

_MINE = Step.objects.filter(pk__any=Given("steps"))
_STEPS = Prepared(lambda: _MINE.order_by("task_id", "id"))
_LOCKED_TASKS_OF = Prepared(
    lambda: (
        Task.objects.select_for_update(no_key=True, of=("self",))
        .select_related("project")
        .filter(pk__in=_MINE.values("task_id"))
        .order_by("pk")
    )
)
_VERSIONS = Prepared(
    lambda: AgentVersion.objects.select_related("agent", "model_profile").filter(
        pk__any=Given("versions")
    )
)


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """One step this process now holds, with the attempt that does it."""

    step: Step
    attempt: Attempt
    seconds_left: float  # of its task's time
    at: float = field(default_factory=time.monotonic)  # when it had so many


def open_attempts(ids: list[uuid.UUID], owner: str, *, apart: bool = True) -> list[Claimed]:
    """Open an attempt for each step leased to `owner`, in the caller's transaction.

    Locks their tasks. A step whose task has used up a limit, or that cannot begin, goes to a person
    instead and keeps no other from beginning; one that cannot begin raises CannotBegin unless they
    are begun `apart`, which takes a savepoint.
    """
    steps = _load(ids)
    able: list[Step] = []
    used = meters.used_by(list({step.task_id: step.task for step in steps}.values()))
    trips = _trips(steps, used)
    for step in steps:
        match trips[step.task_id]:
            case None:
                able.append(step)
            case Exception():
                _hand_over(step)
            case trip:
                _stop_at(step, trip, owner)
    return _opened(able, owner, used) if apart else _all_begun(able, owner, used)


def _all_begun(steps: list[Step], owner: str, used: _Used) -> list[Claimed]:
    try:
        return _begin(steps, owner, used)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        raise CannotBegin from error


def _load(ids: list[uuid.UUID]) -> list[Step]:
    # Locked before they are read: a task that a sibling step hands to a person is seen as it is.
    with sent_together():
        locked, asked = _LOCKED_TASKS_OF.ask(steps=ids), _STEPS.ask(steps=ids)
    tasks = {task.pk: task for task in locked()}
    found = asked()
    wanted = {step.version_id for step in found}
    versions = {version.pk: version for version in _VERSIONS(versions=list(wanted))}
    for step in found:  # one object per task: a move made for one step is seen by the next
        step.task = tasks[step.task_id]
        step.version = versions[step.version_id]
        step.agent = step.version.agent
    return found


def _trips(steps: list[Step], used: _Used) -> dict[uuid.UUID, Trip | Exception | None]:
    """Return for each task the limit it has used up, or why that cannot be told."""
    tasks = {step.task_id: step.task for step in steps}
    found: dict[uuid.UUID, Trip | Exception | None] = {}
    for pk, task in tasks.items():
        try:
            found[pk] = meters.check(task, used[pk])
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # one task's rows must not keep all others waiting
            logger.exception("task %s cannot be measured", pk)
            found[pk] = error
    return found


def _opened(steps: list[Step], owner: str, used: _Used) -> list[Claimed]:
    """Begin all of them at once or, when the database refuses one, each by itself."""
    try:
        with transaction.atomic():
            return _begin(steps, owner, used)
    except (OperationalError, InterfaceError):
        raise
    except Exception:  # one step that cannot begin must not keep the others waiting
        logger.exception("%s steps cannot begin", len(steps))
        if len(steps) == 1:
            _hand_over(steps[0])
            return []
        for task in {step.task for step in steps}:
            task.refresh_from_db()
        return [one for step in steps for one in _opened([step], owner, used)]


def _begin(steps: list[Step], owner: str, used: _Used) -> list[Claimed]:
    if not steps:
        return []
    before = _before(steps)
    parking.forget([step for step in steps if step.attempt > 1 and step.pk not in before])
    attempts = [_attempt(step, before.get(step.pk), owner) for step in steps]
    opened = [
        Claimed(step=step, attempt=attempt, seconds_left=_left(step.task, used))
        for step, attempt in zip(steps, attempts, strict=True)
    ]
    moved, events = _events(opened)
    with sent_together():
        asked = [ask_insert(attempts), _move(moved), ask_record(events)]
    for read in asked:
        read()
    return opened


def _left(task: Task, used: _Used) -> float:
    return Limits.frozen(task.limits).seconds - used[task.pk].seconds


def _before(steps: list[Step]) -> dict[uuid.UUID, Attempt]:
    """Return the attempts whose conversation the next ones go on with, by step."""
    again = {step.pk: step for step in steps if step.attempt > 1}
    if not again:
        return {}
    tried = Attempt.objects.filter(step__in=again).order_by("step_id", "-number")
    last = {attempt.step_id: attempt for attempt in tried.distinct("step_id")}
    resolved = Escalation.objects.filter(step__in=again, state=EscalationState.RESOLVED)
    answers = {(answer.step_id, answer.attempt): answer for answer in resolved.order_by("-id")}
    return {
        pk: attempt
        for pk, attempt in last.items()
        if _goes_on(attempt, again[pk], answers.get((pk, attempt.number)))
    }


def _goes_on(before: Attempt, step: Step, answered: Escalation | None) -> bool:
    """Tell whether the next attempt continues this conversation, or begins anew."""
    if before.state in _GAVE_BACK:
        return True
    if before.turns + 1 >= step.max_turns:
        return False  # there would be no turn left to act in
    if answered is None:
        return False
    if answered.choice == Choice.RAISE_LIMIT_ONCE:
        return True
    if answered.choice == Choice.REASSIGN:
        return False  # the conversation is another agent's
    # A rehearsal has no conversation that a note could change.
    return answered.rule in _GOES_ON and not step.task.rehearsal


def _attempt(step: Step, before: Attempt | None, owner: str) -> Attempt:
    attempt = Attempt(step=step, number=step.attempt, worker=owner)
    if before is not None:
        attempt.resumes = before
        attempt.checkpoint, attempt.turns = before.checkpoint, before.turns
        attempt.seen_seq = before.seen_seq
    return attempt


def _events(opened: list[Claimed]) -> tuple[list[Task], list[Event]]:
    """Return the tasks that begin a phase, in their new state, and the events of all."""
    events: list[Event] = []
    moved: list[Task] = []
    for one in opened:
        step, task = one.step, one.step.task
        if to := _FIRST_MOVE.get((StepKind(step.kind), TaskState(task.state))):
            data = {"from": task.state, "state": to}
            events.append(Event(task=task, kind=Kind.TASK_STATE, data=data))
            task.state = to
            moved.append(task)
        events.append(Event(task=task, step=step, kind=Kind.STEP_STARTED, data=_facts(one)))
    return moved, events


def _move(moved: list[Task]) -> Callable[[], None]:
    if not moved:
        return lambda: None
    cursor = connection.cursor()
    cursor.execute(_MOVE, [[task.pk for task in moved], [task.state for task in moved]])

    def read() -> None:
        with cursor:
            began = dict(cursor.fetchall())
        for task in moved:
            task.started_at = began[task.pk]

    return read


def _facts(one: Claimed) -> dict[str, Any]:
    step = one.step
    facts = {"agent": step.agent.slug, "name": step.agent.name, "title": step.title}
    moved = {"from": StepState.READY, "state": StepState.LEASED, "attempt": step.attempt}
    return {**moved, **facts, "resumed": one.attempt.resumes_id is not None}


def _stop_at(step: Step, trip: Trip, owner: str) -> None:
    # With the conversation it would have gone on with: what a person lets on has lost nothing.
    _attempt(step, _before([step]).get(step.pk), owner).save(force_insert=True)
    _tell_leased(step)
    detail = f"The task's limit is reached: {trip.detail}. What was done so far is kept."
    evidence = {"scope": "task", "limit": trip.limit, "used": trip.used}
    escalations.raise_for(step, rule=Rule(trip.rule), detail=detail, evidence=evidence)


def _hand_over(step: Step) -> None:
    step.refresh_from_db(fields=["state"])
    step.task.refresh_from_db()
    _tell_leased(step)
    detail = f"“{step.title}” could not begin by a fault in Countersign. What was done is kept."
    escalations.raise_for(step, rule=Rule.FAULT, detail=detail)


def _tell_leased(step: Step) -> None:
    """Write the move that the claim has made: no other event says it of a step that never began."""
    facts = {"from": StepState.READY, "state": StepState.LEASED, "attempt": step.attempt}
    step.task.record(Kind.STEP_STATE, facts, step=step)
