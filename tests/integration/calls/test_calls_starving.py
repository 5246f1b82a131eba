"""What cannot be sealed or called now keeps nothing else waiting."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest

from agents import attempts, holds
from agents.finishing import settle
from agents.lifecycle import AttemptState, StepState
from agents.models import Agent, Grant, Step, Tool, ToolCall, ToolServer
from agents.runtime.contract import Waits
from approvals.calls import carrying, sealing
from approvals.hands import Hands
from approvals.models import CallApproval
from tests.approval_fixtures import make_agent
from tests.call_fixtures import call, park, working_step

pytestmark = pytest.mark.django_db


def _deep(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object"}
    for _ in range(levels // 2):
        found = {"type": "object", "properties": {"more": found}}
    return found


def _parked(step: Step, *invoices: str) -> list[ToolCall]:
    calls = [call(step, invoice) for invoice in invoices]
    assert settle(step.attempts.get(), Waits())
    return calls


def _seal_all() -> None:
    while sealing.seal_waiting():
        pass


def test_a_tool_with_a_deep_schema_is_sealed_like_any_other(tool, project, requester, client, lead):
    Tool.objects.update(input_schema=_deep(60))
    (row,) = park(working_step(project, requester), "I-1")
    assert row.state == "pending"
    client.force_login(lead)
    assert client.get(f"/calls/{row.pk}").status_code == 200


def test_a_tool_with_a_schema_nobody_can_read_is_refused_and_the_next_is_sealed(
    tool, project, requester
):
    Tool.objects.update(input_schema=_deep(400))
    (refused,) = _parked(working_step(project, requester), "I-1")
    assert sealing.seal_waiting() == 1
    refused.refresh_from_db()
    assert refused.state == "refused"
    assert "cannot be shown to a person" in refused.result


def test_calls_of_a_step_that_asks_a_person_something_else_keep_no_other_waiting(
    tool, project, requester
):
    step = working_step(project, requester)
    for number in range(sealing.MOST + 10):
        call(step, f"I-{number}")
    attempts.close(step, AttemptState.ESCALATED)
    step.move(StepState.WAITING_HUMAN)
    (row,) = park(working_step(project, requester), "I-1")
    assert row.state == "pending"
    assert CallApproval.objects.count() == 1


@pytest.fixture
def free(tool) -> Tool:
    """The tool needs no permission."""
    Tool.objects.update(read_only=True)
    return tool


def test_calls_of_a_held_agent_keep_no_other_waiting(free, server, project, requester, lead):
    _parked(working_step(project, requester), *(f"I-{number}" for number in range(60)))
    _seal_all()
    lead.is_staff = True
    lead.save()
    holds.place(by=lead, agent=Agent.objects.get(slug="coder"))
    other = working_step(project, requester)
    other.agent = make_agent("tester", "Test agent")
    other.save()
    Grant.objects.create(agent=other.agent, tool=free)
    (row,) = park(other, "OTHER")
    assert carrying.make_due("effects") == 1
    assert CallApproval.objects.get(pk=row.pk).state == "done"


def test_calls_of_one_server_keep_no_other_waiting(free, server, project, requester):
    ToolServer.objects.filter(slug="pay").update(target="http://127.0.0.1:1/mcp")
    books = ToolServer.objects.create(
        slug="books", name="Books", transport="http", target=server.url
    )
    tool = Tool.objects.create(
        server=books, name="pay", definition_digest="d" * 64, input_schema={}, read_only=True
    )
    Grant.objects.create(agent=make_agent("coder", "Code agent"), tool=tool)
    _parked(working_step(project, requester), *(f"I-{number}" for number in range(60)))
    step = working_step(project, requester)
    row = call(step, "OTHER")
    ToolCall.objects.filter(pk=row.pk).update(server="books", tool="books__pay")
    assert settle(step.attempts.get(), Waits())
    _seal_all()
    carrying.make_due("effects")
    row.refresh_from_db()
    assert row.result == "Paid OTHER."


def test_one_server_never_has_more_than_half_of_the_hands():
    let_go, freed = threading.Event(), threading.Event()
    hands = Hands(4, freed.set)
    try:
        keys = [uuid.uuid4() for _ in range(4)]
        assert hands.take(keys[0], let_go.wait, group="slow")
        assert not hands.take(keys[0], let_go.wait, group="slow")
        assert hands.take(keys[1], let_go.wait, group="slow")
        assert not hands.take(keys[2], let_go.wait, group="slow")
        assert hands.take(keys[3], let_go.wait, group="other")
    finally:
        let_go.set()
        hands.close()
    assert freed.is_set()
    assert hands.take(keys[2], let_go.wait, group="slow")
    hands.close()
