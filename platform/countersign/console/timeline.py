"""What happened in a task, as rows: by step, by event, or only what went wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db.models import Q
from django.utils import timezone

from agents.events import Kind
from agents.lifecycle import StepKind, StepState
from agents.models import Event
from countersign.console import looks, reading
from countersign.console.axis import Axis
from countersign.console.eventwords import Said, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from agents.models import Attempt, Step, Task, ToolCall

EVENTS_AT_ONCE = 200
ROWS_AT_MOST = 500  # a page holds no more; older ones are loaded when asked for
_BIG_KINDS = (
    Kind.TASK_SUBMITTED,
    Kind.ESCALATION_RAISED,
    Kind.ESCALATION_RESOLVED,
    Kind.PROPOSAL_READY,
    Kind.SIGNATURES_HELD,
    Kind.APPROVAL_DECIDED,
    Kind.ROUND_STARTED,
    Kind.EFFECT_FINISHED,
    Kind.TASK_FINISHED,
)
_BIG = Q(kind__in=_BIG_KINDS) | Q(kind=Kind.MESSAGE, data__from="person")
TROUBLE = (
    Q(kind__in=[Kind.ESCALATION_RAISED, Kind.LIMIT_WARNED])
    | Q(kind=Kind.TOOL_FINISHED, data__state__in=["failed", "refused", "unknown"])
    | Q(kind__in=[Kind.STEP_STATE, Kind.STEP_FINISHED], data__state__in=["failed", "blocked"])
    | Q(kind__in=[Kind.TASK_STATE, Kind.TASK_FINISHED], data__state__in=["failed", "rejected"])
    | Q(kind=Kind.EFFECT_FINISHED, data__has_key="error") & ~Q(data__error__in=["", None])
)


@dataclass(kw_only=True)
class Row:
    """One row of the activity list."""

    key: str
    at: datetime
    said: Said
    seq: int = 0  # of an event
    agent: Any = None
    step: Step | None = None
    look: looks.Look | None = None
    note: looks.Look | None = None  # how far a person's note has come
    seconds: float | None = None
    bars: list[tuple[float, float]] = field(default_factory=list)  # start, width in hundredths
    active: bool = False
    calls: list[ToolCall] = field(default_factory=list)
    tokens: int = 0
    usd: float = 0.0


def worked(tries: Iterable[Attempt]) -> float:
    """Add up the seconds of a step's attempts; what lies between waited for a person or a worker."""
    return sum((_ended(row) - row.started_at).total_seconds() for row in tries)


def decisions(task: Task) -> QuerySet[Event]:
    """Return the newest events a list by step shows, newest first: what people did and wrote, and
    what was put before them."""
    return Event.objects.filter(_BIG, task=task).order_by("-seq")[:ROWS_AT_MOST]


def by_step(
    task: Task,
    events: Sequence[Event],
    steps: Sequence[Step],
    tries: Mapping[object, Sequence[Attempt]],
    calls: Iterable[ToolCall],
) -> list[Row]:
    """Return one row per begun step, per decision and per note of people, in order of time.

    The events are given newest first.
    """
    axis = Axis.of(
        [event.at for event in events],
        [(row.started_at, _ended(row)) for rows in tries.values() for row in rows],
    )
    rows = [_step_row(step, tries.get(step.pk, ()), axis) for step in steps if step.started_at]
    for event in reversed(events):
        rows.append(_event_row(event, {}))
        rows[-1].bars = [axis.place(event.at, event.at)]
        if reading.is_note(event):
            rows[-1].note = reading.look_of(event, task, steps, tries)
    _add_calls(rows, calls)
    return sorted(rows, key=lambda row: row.at)[-ROWS_AT_MOST:]


def newest(task: Task, *, before: int | None = None) -> QuerySet[Event]:
    """Return the newest events before a seq, newest first."""
    events = Event.objects.filter(task=task)
    if before is not None:
        events = events.filter(seq__lt=before)
    return events.order_by("-seq")[:EVENTS_AT_ONCE]


def after(task: Task, seq: int) -> QuerySet[Event]:
    """Return every event after a seq, newest first."""
    return Event.objects.filter(task=task, seq__gt=seq).order_by("-seq")


def errors(task: Task) -> QuerySet[Event]:
    """Return the newest events that tell of trouble, newest first."""
    return Event.objects.filter(TROUBLE, task=task).order_by("-seq")[:EVENTS_AT_ONCE]


def by_event(events: Sequence[Event], steps: Iterable[Step]) -> list[Row]:
    """Return one row per event, oldest first; the events are given newest first."""
    known = {step.pk: step for step in steps}
    return [_event_row(event, known) for event in reversed(events)]


def _ended(attempt: Attempt) -> datetime:
    return attempt.finished_at or timezone.now()


def _step_row(step: Step, tries: Sequence[Attempt], axis: Axis) -> Row:
    look = looks.of_step(step)
    tone = look.tone if step.state in {StepState.FAILED, StepState.BLOCKED} else ""
    text = looks.title_of(step) if step.kind != StepKind.ROUTE else "Plan the work"
    return Row(
        key=f"step-{step.pk}",
        at=step.started_at or step.created_at,
        said=Said(
            text=text, tone=tone, detail=step.reason if step.state == StepState.FAILED else ""
        ),
        agent=step.agent,
        step=step,
        look=look,
        seconds=worked(tries),
        bars=[axis.place(row.started_at, _ended(row)) for row in tries],
        active=step.state == StepState.LEASED,
        tokens=sum(row.input_tokens + row.output_tokens for row in tries),
        usd=sum(float(row.usd) for row in tries),
    )


def _event_row(event: Event, steps: Mapping[Any, Step]) -> Row:
    step = steps.get(event.step_id)
    return Row(
        key=f"event-{event.seq}",
        seq=event.seq,
        at=event.at,
        said=say(event),
        agent=step.agent if step else None,
        step=step,
        seconds=_seconds(event.data.get("seconds")),
    )


def _add_calls(rows: list[Row], calls: Iterable[ToolCall]) -> None:
    by_step_id = {row.step.pk: row for row in rows if row.step is not None}
    for call in calls:
        if row := by_step_id.get(call.attempt.step_id):
            row.calls.append(call)


def _seconds(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
