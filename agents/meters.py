"""What a task has used of its frozen limits; people's waiting time does not count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models.functions import Now

from agents.events import Kind
from agents.lifecycle import TaskState
from agents.limits import Limits, Trip, share, task_trip, warns
from agents.models import Event, Task

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

# The clock runs while agents are at it, not while a person is awaited.
RUNNING = frozenset({TaskState.PLANNING, TaskState.WORKING, TaskState.ASSEMBLING})


@dataclass(frozen=True, kw_only=True)
class Used:
    """What one task has used, in the units of its limits."""

    seconds: float
    tokens: int
    usd: float


def used(task: Task) -> Used:
    """Read what the task has used up to now, by the database's clock."""
    facts = Task.objects.filter(pk=task.pk).annotate(now=Now())
    now, asked, answered, usd = facts.values_list(
        "now", "input_tokens", "output_tokens", "usd"
    ).get()
    changes = (
        Event.objects.filter(task=task, step=None, data__has_keys=["from", "state"])
        .order_by("seq")
        .values_list("at", "data__state")
    )
    return Used(
        seconds=running_seconds(changes, now),
        tokens=asked + answered,
        usd=float(usd),
    )


def running_seconds(changes: Iterable[tuple[datetime, str]], now: datetime) -> float:
    """Add up the time spent in running states, from (moment, new state) in order."""
    total, since = 0.0, None
    for at, state in changes:
        if since is not None:
            total += (at - since).total_seconds()
        since = at if state in RUNNING else None
    return total + ((now - since).total_seconds() if since is not None else 0.0)


def check(task: Task) -> Trip | None:
    """Return the task limit that is used up, if any; write `limit.warned` once per limit at 80 %."""
    limits, now = Limits.frozen(task.limits), used(task)
    if trip := task_trip(limits, tokens=now.tokens, usd=now.usd, seconds=now.seconds):
        return trip
    for name, value in (("seconds", now.seconds), ("tokens", now.tokens), ("usd", now.usd)):
        if warns(used=value, limit=getattr(limits, name)):
            _warn_once(task, name, value, getattr(limits, name))
    return None


def _warn_once(task: Task, name: str, value: float, limit: float) -> None:
    # A raised limit may be neared again, so the limit itself is part of "once".
    about = {"name": name, "limit": limit}
    warned = Event.objects.filter(task=task, kind=Kind.LIMIT_WARNED, data__contains=about)
    if not warned.exists():
        detail = share(name, used=value, limit=limit)
        rule = "wall_clock" if name == "seconds" else "budget"
        task.record(
            Kind.LIMIT_WARNED, {**about, "used": round(value, 4), "rule": rule, "detail": detail}
        )
