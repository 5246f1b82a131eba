"""The working memory of an agent in a task: what it said and did, turn by turn.

The rows of the event log are the truth; Redis only spares reading them again.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import Max

from agents.events import Kind
from agents.models import Event, Step
from memory import posting
from memory.working import WorkingMemory

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from django.db.models import QuerySet

_KINDS = (Kind.MESSAGE, Kind.TOOL_FINISHED)
_TEXT = 2_000  # characters of a message
# Back from the event to the last of its agent. Joined, its one plan began with all steps the agent
# ever did.
_BEFORE = """
SELECT coalesce((
    SELECT event.seq FROM agents_event event
    WHERE event.task_id = given.task_id AND event.seq < given.seq AND event.kind = ANY(%s)
      AND (SELECT step.agent_id FROM agents_step step WHERE step.id = event.step_id) = given.agent_id
    ORDER BY event.seq DESC LIMIT 1
), 0)
FROM unnest(%b::uuid[], %b::bigint[], %b::uuid[])
    WITH ORDINALITY AS given(task_id, seq, agent_id, number)
ORDER BY given.number
"""


def read_chain(task_id: uuid.UUID, agent_slug: str) -> list[dict[str, Any]]:
    """Return what an agent said and did in a task, oldest first; from Redis, else from the rows."""
    rows = _rows(task_id, agent_slug)
    last = rows.aggregate(last=Max("seq"))["last"] or 0
    memory = WorkingMemory(task_id, agent_slug)
    return memory.read_chain(rebuild=lambda: [entry(row) for row in rows], last_seq=last)


def remember_all(events: Sequence[Event]) -> None:
    """Cache events of agents at their steps once they are committed."""
    if events:
        after = _before(events)
        transaction.on_commit(partial(_append, list(events), after), robust=True)


def entry(event: Event) -> dict[str, Any]:
    """Return the short form of an event that the chain holds."""
    data = event.data
    short: dict[str, Any] = {"seq": event.seq, "kind": event.kind}
    if event.kind == Kind.MESSAGE:
        return {**short, "text": data.get("text", "")[:_TEXT]}
    return {**short, **{name: data.get(name, "") for name in ("tool", "state", "summary")}}


def _append(events: list[Event], after: list[int]) -> None:
    for event, before in zip(events, after, strict=True):
        memory = WorkingMemory(event.task_id, _step(event).agent.slug)
        posting.post(partial(memory.queue_append, entry=entry(event), seq=event.seq, after=before))


def _before(events: Sequence[Event]) -> list[int]:
    columns: list[list[Any]] = [[event.task_id for event in events]]
    columns += [[event.seq for event in events], [_step(event).agent_id for event in events]]
    with connection.cursor() as cursor:
        cursor.execute(_BEFORE, [list(_KINDS), *columns])
        return [row[0] for row in cursor.fetchall()]


def _step(event: Event) -> Step:
    assert event.step is not None  # noqa: S101  # agents speak and call at steps alone
    return event.step


def _rows(task_id: uuid.UUID, agent_slug: str) -> QuerySet[Event]:
    return Event.objects.filter(
        task_id=task_id, step__agent__slug=agent_slug, kind__in=_KINDS
    ).order_by("seq")
