"""Reads the rows a trace is made of: five statements at most, however many spans there are."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from django.db.models import FloatField, Func

from agents.models import Attempt, Delegation, ModelCall, Step, ToolCall

if TYPE_CHECKING:
    import uuid
    from decimal import Decimal

    from agents.models import Task


class Answered(NamedTuple):
    """One answer of a model, without what was said."""

    pk: uuid.UUID
    attempt_id: uuid.UUID
    response: int
    model: str
    input_tokens: int
    output_tokens: int
    usd: Decimal | None
    repairs: int
    start: float
    end: float


class Called(NamedTuple):
    """One tool call, without arguments and result: those may be long."""

    pk: uuid.UUID
    attempt_id: uuid.UUID
    response: int
    call_id: str
    tool: str
    state: str
    start: float
    end: float | None


class Counts(NamedTuple):
    """How many rows a task has."""

    tries: int
    answers: int
    calls: int


class _Seconds(Func):
    """Seconds since the epoch: of 9,000 moments a third of the time it takes to make dates of them."""

    template = "extract(epoch FROM %(expressions)s)::float8"
    output_field = FloatField()


_TIMES = {"start": _Seconds("started_at"), "end": _Seconds("finished_at")}
_ANSWERED = ("pk", *Answered._fields[1:])
_CALLED = ("pk", *Called._fields[1:])


@dataclass(kw_only=True)
class Rows:
    """The rows of one task, by what they belong to."""

    steps: list[Step]
    attempts: dict[uuid.UUID, list[Attempt]] = field(default_factory=dict)  # by step
    answers: dict[uuid.UUID, list[Answered]] = field(default_factory=dict)  # by attempt
    calls: dict[uuid.UUID, list[Called]] = field(default_factory=dict)  # by attempt
    asked: dict[uuid.UUID, uuid.UUID] = field(default_factory=dict)  # answering step: the call

    @property
    def counts(self) -> Counts:
        """Count what was read."""
        parts = (self.attempts, self.answers, self.calls)
        return Counts(*(sum(map(len, each.values())) for each in parts))


def read(task: Task) -> Rows:
    """Return the rows of a task whose right to be seen is checked."""
    steps = list(
        Step.objects.filter(task=task)
        .select_related("agent", "version", "asked_by__agent")
        .defer("instructions", "result", "feedback", "version__instructions")
        .order_by("id")
    )
    rows = Rows(steps=steps)
    attempts = list(
        Attempt.objects.filter(step__task=task).defer("checkpoint").order_by("step_id", "number")
    )
    rows.attempts = _by(attempts, "step_id")
    if not attempts:
        return rows
    ids = [attempt.pk for attempt in attempts]
    answers = ModelCall.objects.annotate(**_TIMES).filter(attempt_id__in=ids)
    answers = answers.order_by("attempt_id", "response")
    rows.answers = _by(map(Answered._make, answers.values_list(*_ANSWERED)), "attempt_id")
    calls = ToolCall.objects.annotate(**_TIMES).filter(attempt_id__in=ids)
    calls = calls.order_by("attempt_id", "started_at", "id")
    rows.calls = _by(map(Called._make, calls.values_list(*_CALLED)), "attempt_id")
    if any(step.kind == "answer" for step in steps):
        asked = Delegation.objects.filter(task=task)
        rows.asked = dict(asked.values_list("answerer_id", "call_id"))
    return rows


def count(task: Task) -> Counts:
    """Count the rows of a task without reading them: what a page that is open compares."""
    tries = list(Attempt.objects.filter(step__task=task).values_list("pk", flat=True))
    mine = {"attempt_id__in": tries}
    answers, calls = ModelCall.objects.filter(**mine), ToolCall.objects.filter(**mine)
    return Counts(len(tries), answers.count(), calls.count())


def _by(rows: object, name: str) -> dict[uuid.UUID, list]:  # type: ignore[type-arg]
    found: dict[uuid.UUID, list] = defaultdict(list)  # type: ignore[type-arg]
    for row in rows:  # type: ignore[attr-defined]
        found[getattr(row, name)].append(row)
    return found
