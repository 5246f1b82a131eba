"""Reads of the live part; called through `in_db`, so that no socket waits for another's query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.events import channel, frame
from agents.lifecycle import TASK_TERMINAL, StepState
from agents.models import Event, Step, Task

if TYPE_CHECKING:
    import uuid

PAGE = 200  # events read at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Events after a cursor, and how far the task was when they were read."""

    frames: list[dict[str, Any]]
    last_seq: int
    over: bool


def page_after(task_id: uuid.UUID, cursor: int) -> Page:
    """Return the next events; `last_seq` is read first, so it never promises unread events."""
    state, last_seq = Task.objects.values_list("state", "last_seq").get(pk=task_id)
    events = Event.objects.filter(task_id=task_id, seq__gt=cursor).order_by("seq")[:PAGE]
    return Page(
        frames=[frame(event) for event in events],
        last_seq=last_seq,
        over=state in TASK_TERMINAL,
    )


def nothing_left(task_id: uuid.UUID, cursor: int) -> bool:
    """Tell whether a task is over and the client has all of it."""
    return Task.objects.filter(pk=task_id, state__in=TASK_TERMINAL, last_seq__lte=cursor).exists()


def running_steps(task_id: uuid.UUID) -> list[str]:
    """Return the steps somebody is writing in now."""
    steps = Step.objects.filter(task_id=task_id, state=StepState.LEASED)
    return [str(pk) for pk in steps.values_list("pk", flat=True)]


def heads_of(channels: list[str]) -> dict[str, int]:
    """Return the newest seq of every watched task's channel."""
    prefix = channel("")
    ids = [name.removeprefix(prefix) for name in channels if name.startswith(prefix)]
    rows = Task.objects.filter(pk__in=ids).values_list("pk", "last_seq")
    return {channel(pk): seq for pk, seq in rows}
