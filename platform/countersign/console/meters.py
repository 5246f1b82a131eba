"""The limits of a task beside what is used of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Q
from django.utils import timezone

from agents.clocks import RUNNING
from agents.events import Kind
from agents.limits import Limits, warns
from agents.models import Event
from countersign.templatetags.console import amount, clock, count_of, usd

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import OuterRef, QuerySet

    from agents.models import Attempt, Step, Task

_MOST_SEGMENTS = 12
# An event that tells of a model without a known price, so that its cost counts as 0.
UNPRICED = Q(kind=Kind.LIMIT_WARNED, data__contains={"rule": "price"})


@dataclass(frozen=True, kw_only=True)
class Meter:
    """One limit and what is used of it."""

    key: str
    label: str
    value: str
    limit: str
    used: float
    most: float
    note: str = ""
    segments: tuple[Segment, ...] = ()
    since: datetime | None = None  # the clock ticks on in the browser

    @property
    def percent(self) -> int:
        """How full it is, for the bar."""
        return min(100, round(100 * self.used / self.most)) if self.most else 0

    @property
    def tone(self) -> str:
        """Amber from 80 % on, red when used up."""
        if self.most and self.used >= self.most:
            return "bad"
        return "warn" if self.most and warns(used=self.used, limit=self.most) else ""


@dataclass(frozen=True, kw_only=True)
class Now:
    """What no row of a task tells: how long agents were at it, and what is so at this moment."""

    seconds: float
    held: bool
    unpriced: bool


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One piece of a bar of counted things."""

    x: float
    width: float
    full: bool


def meters_of(task: Task, focus: Step | None, attempt: Attempt | None, now: Now) -> list[Meter]:
    """Return the five meters of a task; the turns are those of the agent in focus."""
    limits = Limits.frozen(task.limits)
    return [
        _time(task, limits, now),
        _cost(task, limits, unpriced=now.unpriced),
        _tokens(task, limits),
        _turns(focus, attempt),
        _rounds(task, limits),
    ]


def _turns(step: Step | None, attempt: Attempt | None) -> Meter:
    turns, most = attempt.turns if attempt else 0, step.max_turns if step else 0
    return Meter(
        key="turns",
        label=f"Turns, {step.agent.name}" if step else "Turns",
        value=str(turns),
        limit=str(most) if step else "-",
        used=turns,
        most=most,
        note=f"{max(0, most - turns)} left" if step else "",
        segments=_segments(turns, most),
    )


def _rounds(task: Task, limits: Limits) -> Meter:
    return Meter(
        key="rounds",
        label="Rounds",
        value=str(task.round),
        limit=str(limits.rounds),
        used=task.round - 1,
        most=limits.rounds,
        note=count_of(task.tool_calls, "tool call,tool calls"),
        segments=_segments(task.round, limits.rounds),
    )


def _time(task: Task, limits: Limits, now: Now) -> Meter:
    seconds = now.seconds
    begun = timezone.now() - timedelta(seconds=seconds)
    ticks = task.state in RUNNING and not now.held  # else it waits for a person
    return Meter(
        key="time",
        label="Time",
        value=clock(seconds),
        limit=clock(limits.seconds),
        used=seconds,
        most=limits.seconds,
        note=_ends(begun, limits) if ticks else "",
        since=begun if ticks else None,
    )


def _ends(begun: datetime, limits: Limits) -> str:
    """Say when the time is up if nobody stops the clock."""
    end = timezone.localtime(begun + timedelta(seconds=limits.seconds))
    today = end.date() == timezone.localdate()
    return f"ends {end:%H:%M}" if today else f"ends {end.day} {end:%b %H:%M}"


def _cost(task: Task, limits: Limits, *, unpriced: bool) -> Meter:
    known = usd(task.usd) if task.usd else "unknown"
    return Meter(
        key="cost",
        label="Cost",
        value=known if unpriced else usd(task.usd),
        limit=usd(limits.usd),
        used=float(task.usd),
        most=limits.usd,
        note="no model, no cost" if task.rehearsal else "price unknown" if unpriced else "",
    )


def price_unknown(task: Task) -> bool:
    """Tell whether a model without a known price answered, so that its cost counts as 0."""
    return unpriced(task).exists()


def unpriced(task: Task | OuterRef) -> QuerySet[Event]:
    """Return what the budget said of calls without a price."""
    return Event.objects.filter(UNPRICED, task=task)


def _tokens(task: Task, limits: Limits) -> Meter:
    tokens = task.input_tokens + task.output_tokens
    return Meter(
        key="tokens",
        label="Tokens",
        value=amount(tokens),
        limit=amount(limits.tokens),
        used=tokens,
        most=limits.tokens,
        note="none in rehearsal" if task.rehearsal else "",
    )


def _segments(full: int, total: int) -> tuple[Segment, ...]:
    if not 1 < total <= _MOST_SEGMENTS:
        return ()
    gap = 1.0
    width = (100 - gap * (total - 1)) / total
    return tuple(
        Segment(x=round(index * (width + gap), 2), width=round(width, 2), full=index < full)
        for index in range(total)
    )
