"""What a task has used of its frozen limits; the time it waits for people does not count."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db import connection

from agents import clocks
from agents.events import Kind
from agents.limits import Limits, Trip, share, task_trip, warns
from agents.models import Event

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection

    from agents.models import Task
    from projects.across import Statement


# `but` are attempts whose own reservation does not count.
_STANDING = f"""
SELECT task.id, ran.seconds, reserved.tokens, reserved.usd
FROM agents_task task CROSS JOIN LATERAL ({clocks.SECONDS}) ran CROSS JOIN LATERAL (
    SELECT coalesce(sum(other.reserved_tokens), 0) AS tokens,
           coalesce(sum(other.reserved_usd), 0) AS usd
    FROM agents_attempt other JOIN agents_step step ON step.id = other.step_id
    WHERE step.task_id = task.id AND other.reserved_tokens > 0 AND other.id <> ALL(%s)
) reserved WHERE task.id = ANY(%s)
"""  # noqa: S608  # made of our own constants


@dataclass(frozen=True, kw_only=True)
class Used:
    """What one task has used, in the units of its limits, and what running calls may use of them."""

    seconds: float
    tokens: int
    usd: float
    reserved_tokens: int = 0
    reserved_usd: Decimal = Decimal(0)


def used(task: Task) -> Used:
    """Read what the task has used up to now, by the database's clock."""
    task.refresh_from_db(fields=["input_tokens", "output_tokens", "usd"])
    return used_by([task])[task.pk]


def seconds_of(task: Task) -> Statement:
    """Return the statement that tells how long agents were at a task up to now."""
    text = f"SELECT ran.seconds FROM agents_task task CROSS JOIN LATERAL ({clocks.SECONDS}) ran"  # noqa: S608
    return f"{text} WHERE task.id = %s", (sorted(clocks.RUNNING), task.pk)


def used_by(tasks: Collection[Task], *, but: Collection[uuid.UUID] = ()) -> dict[uuid.UUID, Used]:
    """Return what each of these tasks, as they were just read, has used up to now.

    Held time does not count, nor what the attempts `but` have reserved.
    """
    if not tasks:
        return {}
    return ask_used([task.pk for task in tasks], but=but)(tasks)


def ask_used(
    ids: Collection[uuid.UUID], *, but: Collection[uuid.UUID] = ()
) -> Callable[[Collection[Task]], dict[uuid.UUID, Used]]:
    """Send what `used_by` sends and return what reads it, given the tasks: of several that are
    `sent_together` with the statement that reads those."""
    cursor = connection.cursor()
    cursor.execute(_STANDING, [sorted(clocks.RUNNING), list(but), list(ids)])

    def read(tasks: Collection[Task]) -> dict[uuid.UUID, Used]:
        known = {task.pk: task for task in tasks}
        with cursor:
            return {pk: _used(known[pk], *row) for pk, *row in cursor.fetchall()}

    return read


def _used(task: Task, seconds: float, reserved_tokens: int, reserved_usd: Decimal) -> Used:
    return Used(
        seconds=seconds,
        tokens=task.input_tokens + task.output_tokens,
        usd=float(task.usd),
        reserved_tokens=int(reserved_tokens),
        reserved_usd=reserved_usd,
    )


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
