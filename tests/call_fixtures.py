"""Steps that wait for calls of a tool outside, made as rows: no model said them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django.db.models.functions import Now

from agents.finishing import settle
from agents.lifecycle import AttemptState, StepState, TaskState, ToolCallState
from agents.models import Attempt, Grant, Step, Task, Tool, ToolCall, ToolServer
from agents.runtime.contract import Waits
from approvals.calls import sealing
from approvals.calls.deciding import decide
from approvals.models import CallApproval
from tests.approval_fixtures import make_agent, past_triggers

if TYPE_CHECKING:
    from projects.models import Project, User

SCHEMA = {
    "type": "object",
    "properties": {"invoice": {"type": "string"}, "cents": {"type": "integer"}},
    "required": ["invoice", "cents"],
    "additionalProperties": False,
}


def make_tool(url: str = "http://127.0.0.1:1/mcp", **facts: Any) -> Tool:
    """Return a tool outside that pays, granted to the coder."""
    server = ToolServer.objects.create(slug="pay", name="Pay", transport="http", target=url)
    told = {"description": "Pay an invoice.", "input_schema": SCHEMA, **facts}
    tool = Tool.objects.create(server=server, name="pay", definition_digest="d" * 64, **told)
    Grant.objects.create(agent=make_agent("coder", "Code agent"), tool=tool)
    return tool


def working_step(project: Project, requester: User) -> Step:
    """Return a step of the coder that an attempt is at."""
    agent = make_agent("coder", "Code agent")
    task = Task.objects.create(
        project=project,
        requester=requester,
        request="Pay the open invoices",
        title="Pay the open invoices",
        state=TaskState.WORKING,
        model="openai:stub",
        request_digest="0" * 64,
        started_at=Now(),
    )
    step = Step.objects.create(
        task=task,
        key="pay",
        agent=agent,
        version=agent.published(),
        title="Pay what is due",
        state=StepState.LEASED,
        lease_owner="test",
        lease_until=Now(),
        attempt=1,
    )
    Attempt.objects.create(step=step, number=1, worker="test", state=AttemptState.RUNNING)
    return step


def call(step: Step, invoice: str, **arguments: Any) -> ToolCall:
    """Write the ledger row of a call, as the guard does."""
    return ToolCall.objects.create(
        attempt=step.attempts.get(number=step.attempt),
        response=0,
        call_id=uuid.uuid4().hex,
        server="pay",
        tool="pay__pay",
        arguments={"invoice": invoice, "cents": 900, **arguments},
        fingerprint="f" * 64,
        state=ToolCallState.WAITING,
    )


def park(step: Step, *invoices: str, said: str = "I pay what is due.") -> list[CallApproval]:
    """Let a step make these calls and wait; return them sealed."""
    step.task.record("message", {"from": "agent", "turn": 1, "text": said}, step=step)
    calls = [call(step, invoice) for invoice in invoices]
    assert settle(step.attempts.get(number=step.attempt), Waits())
    sealing.seal_waiting()
    return [CallApproval.objects.get(call=row) for row in calls]


def waiting_call(project: Project, requester: User) -> CallApproval:
    """Return one sealed call that needs permission."""
    return park(working_step(project, requester), "I-1")[0]


def decided(row: CallApproval, by: User, verdict: str = "allow", **facts: Any) -> CallApproval:
    """Decide on a call as somebody who has just looked at it; return it as it is now."""
    given = {"digest": row.digest, "nonce": row.nonce, "confirmation": row.task.label, **facts}
    decide(row.pk, by=by, verdict=verdict, **given)
    return CallApproval.objects.get(pk=row.pk)


def end_time(row: CallApproval) -> None:
    """Let the time to decide end now: nobody can wait for it, and the seal holds it."""
    past_triggers("UPDATE approvals_callapproval SET expires_at = now() WHERE id = %s", row.pk)
