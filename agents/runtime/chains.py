"""The working memory of an agent in a task: what it said and did, turn by turn.

The rows of the event log are the truth; Redis only spares reading them again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Max

from agents.events import Kind
from agents.models import Event
from memory.working import WorkingMemory

if TYPE_CHECKING:
    import uuid

    from django.db.models import QuerySet

_KINDS = (Kind.MESSAGE, Kind.TOOL_FINISHED)
_TEXT = 2_000  # characters of a message


def read_chain(task_id: uuid.UUID, agent_slug: str) -> list[dict[str, Any]]:
    """Return what an agent said and did in a task, oldest first; from Redis, else from the rows."""
    rows = _rows(task_id, agent_slug)
    last = rows.aggregate(last=Max("seq"))["last"] or 0
    memory = WorkingMemory(task_id, agent_slug)
    return memory.read_chain(rebuild=lambda: [entry(row) for row in rows], last_seq=last)


def remember(event: Event, agent_slug: str) -> None:
    """Cache an event of an agent once it is committed; what Redis lost is found in the rows."""
    transaction.on_commit(lambda: _append(event, agent_slug), robust=True)


def entry(event: Event) -> dict[str, Any]:
    """Return the short form of an event that the chain holds."""
    data = event.data
    short: dict[str, Any] = {"seq": event.seq, "kind": event.kind}
    if event.kind == Kind.MESSAGE:
        return {**short, "text": data.get("text", "")[:_TEXT]}
    return {**short, **{name: data.get(name, "") for name in ("tool", "state", "summary")}}


def _append(event: Event, agent_slug: str) -> None:
    before = _rows(event.task_id, agent_slug).filter(seq__lt=event.seq).aggregate(last=Max("seq"))
    WorkingMemory(event.task_id, agent_slug).append(
        entry(event), seq=event.seq, after=before["last"] or 0
    )


def _rows(task_id: uuid.UUID, agent_slug: str) -> QuerySet[Event]:
    return Event.objects.filter(
        task_id=task_id, step__agent__slug=agent_slug, kind__in=_KINDS
    ).order_by("seq")
