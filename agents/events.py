"""The kinds of events, and how a committed event is announced to those who watch."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import models, transaction

from memory import posting

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from agents.models import Event


_CROWD = 20  # tasks accepted at once


class Kind(models.TextChoices):
    """Every kind of durable event (public contract, version 1)."""

    TASK_SUBMITTED = "task.submitted", "Submitted"
    TASK_STATE = "task.state", "State changed"
    TASK_PLANNED = "task.planned", "Planned"
    TASK_PAUSED = "task.paused", "Paused"
    TASK_RESUMED = "task.resumed", "Resumed"
    STEP_ADDED = "step.added", "Step added"
    STEP_STATE = "step.state", "Step state changed"
    STEP_STARTED = "step.started", "Step started"
    MESSAGE = "message", "Message"
    TOOL_STARTED = "tool.started", "Tool started"
    TOOL_FINISHED = "tool.finished", "Tool finished"
    STEP_FINISHED = "step.finished", "Step finished"
    DELEGATION_ASKED = "delegation.asked", "Asked another agent"
    DELEGATION_ANSWERED = "delegation.answered", "Answered an agent"
    MEMORY_RECALLED = "memory.recalled", "Memory recalled"
    LIMIT_WARNED = "limit.warned", "Limit near"
    ESCALATION_RAISED = "escalation.raised", "Needs a person"
    ESCALATION_RESOLVED = "escalation.resolved", "A person decided how to go on"
    CALL_ASKED = "call.asked", "Asks to use a tool"
    CALL_DECIDED = "call.decided", "A tool call was decided"
    PROPOSAL_READY = "proposal.ready", "Proposal ready"
    APPROVAL_REQUESTED = "approval.requested", "Sign-off requested"
    APPROVAL_ASSIGNED = "approval.assigned", "Assigned"
    APPROVAL_REMINDED = "approval.reminded", "Reminded"
    SIGNATURES_HELD = "approval.signatures_held", "Signatures hold"
    APPROVAL_SIGNED = "approval.signed", "Signed"
    APPROVAL_DECIDED = "approval.decided", "Decided"
    EFFECT_STARTED = "effect.started", "Carrying out"
    EFFECT_FINISHED = "effect.finished", "Carried out"
    ROUND_STARTED = "round.started", "Next round"
    TASK_FINISHED = "task.finished", "Finished"


def channel(task_id: uuid.UUID | str) -> str:
    """Return the Redis channel of one task's frames."""
    return f"cs:task:{task_id}"


def project_channel(project_id: uuid.UUID | str) -> str:
    """Return the Redis channel that tells a project's members something moved."""
    return f"cs:project:{project_id}"


def frame(event: Event) -> dict[str, Any]:
    """Return the public form of an event, as the API, SSE and WebSocket send it."""
    return {
        "seq": event.seq,
        "kind": event.kind,
        "at": event.at.isoformat(),
        "step": str(event.step_id) if event.step_id else None,
        "data": event.data,
    }


def announce(*events: Event) -> None:
    """Publish committed events soon, in this order; what is lost is healed by replay from the rows."""
    posting.post(partial(_publish, events))


def tell_of_new(tasks: list[tuple[uuid.UUID, str, int]]) -> None:
    """Tell the members of projects of tasks just accepted: (project, task, number) each.

    Nobody watches a task before its id is known, and whoever comes then reads the row. Of a crowd the
    lists are told of the newest, and not at once.
    """
    if len(tasks) <= _CROWD:
        posting.post(partial(_tell, tasks))
        return
    for project, row in {row[0]: row for row in tasks}.items():
        posting.post_newest(project_channel(project), partial(_tell, [row]))


def ring(moved: Sequence[Event]) -> None:
    """Tell the members of projects again, once it is committed, that people were told of events."""
    transaction.on_commit(lambda: posting.post(partial(_ring, moved)), robust=True)


def _ring(moved: Sequence[Event], pipeline: Any) -> None:
    for event in moved:
        pipeline.publish(project_channel(event.task.project_id), _moved(event))


def _moved(event: Event) -> str:
    task = event.task
    moved = {"task": str(task.pk), "number": task.number, "kind": event.kind, "seq": event.seq}
    return json.dumps(moved)


def _tell(tasks: list[tuple[uuid.UUID, str, int]], pipeline: Any) -> None:
    for project, task, number in tasks:
        moved = {"task": task, "number": number, "kind": Kind.TASK_SUBMITTED, "seq": 1}
        pipeline.publish(project_channel(project), json.dumps(moved))


def _publish(events: tuple[Event, ...], pipeline: Any) -> None:
    for event in events:
        pipeline.publish(channel(event.task_id), json.dumps(frame(event)))
        pipeline.publish(project_channel(event.task.project_id), _moved(event))
