"""What a task has used of its frozen limits; the time it waits for people does not count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents import clocks
from agents.events import Kind
from agents.limits import Limits, Trip, share, task_trip, warns
from agents.models import Event

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection

    from agents.models import Task


@dataclass(frozen=True, kw_only=True)
class Used:
    """What one task has used, in the units of its limits."""

    seconds: float
    tokens: int
    usd: float


def used(task: Task) -> Used:
    """Read what the task has used up to now, by the database's clock."""
    task.refresh_from_db(fields=["input_tokens", "output_tokens", "usd"])
    return used_by([task])[task.pk]


def used_by(tasks: Collection[Task]) -> dict[uuid.UUID, Used]:
    """Return what each of these tasks, as they were just read, has used up to now."""
    seconds = clocks.seconds_of([task.pk for task in tasks])
    return {
        task.pk: Used(
            seconds=seconds[task.pk],
            tokens=task.input_tokens + task.output_tokens,
            usd=float(task.usd),
        )
        for task in tasks
    }


def check(task: Task, now: Used | None = None) -> Trip | None:
    """Return the task limit that is used up, if any; write `limit.warned` once per limit at 80 %."""
    limits, now = Limits.frozen(task.limits), now or used(task)
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
