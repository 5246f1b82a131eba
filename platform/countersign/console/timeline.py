"""What happened in a task, as rows: by step, by event, or only what went wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from agents.events import Kind
from agents.lifecycle import StepKind, StepState, ToolCallState
from agents.models import Event, ToolCall
from countersign.console import looks
from countersign.console.eventwords import Said, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from agents.models import Attempt, Step, Task

EVENTS_AT_ONCE = 300
_STEP_KINDS = (Kind.STEP_STARTED, Kind.STEP_STATE, Kind.STEP_FINISHED, Kind.TASK_PLANNED)
_BIG_KINDS = (
    Kind.TASK_SUBMITTED,
    Kind.ESCALATION_RAISED,
    Kind.ESCALATION_RESOLVED,
    Kind.PROPOSAL_READY,
    Kind.APPROVAL_DECIDED,
    Kind.ROUND_STARTED,
    Kind.EFFECT_FINISHED,
    Kind.TASK_FINISHED,
)
_WRONG = {ToolCallState.FAILED, ToolCallState.REFUSED, ToolCallState.UNKNOWN}


@dataclass(kw_only=True)
class Row:
    """One row of the activity list."""

    key: str
    at: datetime
    said: Said
    agent: Any = None
    step: Step | None = None
    look: looks.Look | None = None
    seconds: float | None = None
    bars: list[tuple[float, float]] = field(default_factory=list)  # start, width in hundredths
    active: bool = False
    calls: list[ToolCall] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Axis:
    """The time axis all rows share."""

    start: datetime
    end: datetime

    def place(self, begun: datetime, ended: datetime) -> tuple[float, float]:
        """Return where a bar begins and how wide it is, in hundredths."""
        whole = max((self.end - self.start).total_seconds(), 1.0)
        left = max(0.0, min(99.0, 100 * (begun - self.start).total_seconds() / whole))
        width = max(1.0, 100 * (ended - begun).total_seconds() / whole)
        return round(left, 2), round(min(width, 100 - left), 2)


def worked(tries: Iterable[Attempt]) -> float:
    """Add up the seconds of a step's attempts; what lies between waited for a person or a worker."""
    return sum((_ended(row) - row.started_at).total_seconds() for row in tries)


def by_step(
    task: Task, steps: Sequence[Step], tries: Mapping[object, Sequence[Attempt]]
) -> list[Row]:
    """Return one row per begun step and per decision of people, in order of time."""
    axis = _axis(task)
    rows = [_step_row(step, tries.get(step.pk, ()), axis) for step in steps if step.started_at]
    for event in Event.objects.filter(task=task, kind__in=_BIG_KINDS).order_by("seq"):
        rows.append(_event_row(event, {}))
        rows[-1].bars = [axis.place(event.at, event.at)]
    _add_calls(rows)
    return sorted(rows, key=lambda row: row.at)


def all_events(task: Task, steps: Sequence[Step], *, before: int | None = None) -> list[Row]:
    """Return the newest events before a seq, oldest first."""
    known = {step.pk: step for step in steps}
    events = Event.objects.filter(task=task)
    if before is not None:
        events = events.filter(seq__lt=before)
    newest = list(events.order_by("-seq")[:EVENTS_AT_ONCE])
    return [_event_row(event, known) for event in reversed(newest)]


def errors(task: Task, steps: Sequence[Step]) -> list[Row]:
    """Return the events that tell of trouble."""
    known = {step.pk: step for step in steps}
    kinds = (Kind.TOOL_FINISHED, Kind.ESCALATION_RAISED, *_STEP_KINDS, Kind.EFFECT_FINISHED)
    events = Event.objects.filter(task=task, kind__in=[*kinds, Kind.TASK_FINISHED, Kind.TASK_STATE])
    rows = [_event_row(event, known) for event in events.order_by("seq")]
    return [row for row in rows if row.said.tone in {"bad", "warn"}][-EVENTS_AT_ONCE:]


def _axis(task: Task) -> Axis:
    return Axis(start=task.created_at, end=task.finished_at or timezone.now())


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
    )


def _event_row(event: Event, steps: Mapping[Any, Step]) -> Row:
    step = steps.get(event.step_id)
    return Row(
        key=f"event-{event.seq}",
        at=event.at,
        said=say(event),
        agent=step.agent if step else None,
        step=step,
        seconds=_seconds(event.data.get("seconds")),
    )


def _add_calls(rows: list[Row]) -> None:
    by_step_id = {row.step.pk: row for row in rows if row.step is not None}
    calls = (
        ToolCall.objects.filter(attempt__step_id__in=by_step_id)
        .select_related("attempt")
        .defer("result")
        .order_by("started_at")
    )
    for call in calls:
        by_step_id[call.attempt.step_id].calls.append(call)


def _seconds(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
