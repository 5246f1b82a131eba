"""When nobody decides on a call in time the policy may have a person asked; it is never made."""

from __future__ import annotations

import pytest
from django.db.models.functions import Now

from agents import escalations
from agents.finishing import settle
from agents.lifecycle import StepState, TaskState
from agents.models import Attempt, Escalation
from agents.runtime.contract import Waits
from approvals import policies
from approvals.calls import carrying, ending, sealing
from approvals.models import CallApproval
from approvals.requirements import Required
from tests.call_fixtures import call, decided, end_time, park, waiting_call, working_step

pytestmark = pytest.mark.django_db


@pytest.fixture
def asking(project, lead) -> None:
    """The policy has a person asked when a call expires."""
    policies.change(project, by=lead, call_at_expiry="ask")


def now(row: CallApproval) -> CallApproval:
    return CallApproval.objects.select_related("call", "step", "task").get(pk=row.pk)


def _expire(*rows: CallApproval) -> None:
    for row in rows:
        end_time(row)
    assert ending.expire_due() == len(rows)


def test_a_person_is_asked_how_the_step_goes_on(asking, tool, server, project, requester):
    row = waiting_call(project, requester)
    _expire(row)
    row, question = now(row), Escalation.objects.get()
    assert (row.state, row.call.state) == ("expired", "refused")
    assert (row.step.state, row.task.state) == (StepState.WAITING_HUMAN, TaskState.NEEDS_HUMAN)
    assert (question.rule, question.evidence["calls"]) == ("blocked", [str(row.call_id)])
    assert question.detail.startswith("Nobody decided in time whether pay__pay may be called.")
    assert {"retry_with_note", "stop"} <= set(question.options)
    assert carrying.make_due("effects") == 0
    assert server.requests == 0


def test_the_step_goes_on_with_a_note_and_nobody_is_asked_twice(
    asking, tool, project, requester, lead
):
    row = waiting_call(project, requester)
    _expire(row)
    question = Escalation.objects.get()
    escalations.resolve(question, choice="retry_with_note", note="Pay on Friday.", by=lead)
    step = now(row).step
    assert (step.state, now(row).task.state) == (StepState.READY, TaskState.WORKING)
    step.move(StepState.LEASED, lease_owner="test", lease_until=Now(), attempt=2)
    attempt = Attempt.objects.create(step=step, number=2, worker="test", state="running")
    other = call(step, "I-2")
    assert settle(attempt, Waits())
    sealing.seal_waiting()
    decided(CallApproval.objects.get(call=other), lead, "refuse", note="No.")
    assert Escalation.objects.count() == 1
    step.refresh_from_db()
    assert step.state == StepState.READY


def test_an_answer_about_a_call_is_no_word_about_the_model(
    asking, tool, project, requester, lead, settings
):
    row = waiting_call(project, requester)
    model = row.task.model
    _expire(row)
    settings.COUNTERSIGN_MODEL = "openai:another"
    escalations.resolve(
        Escalation.objects.get(), choice="retry_with_note", note="Pay on Friday.", by=lead
    )
    assert now(row).task.model == model != "openai:another"


def test_siblings_are_decided_before_anybody_is_asked(
    asking, tool, server, project, requester, lead
):
    first, second = park(working_step(project, requester), "A", "B")
    _expire(first)
    assert not Escalation.objects.exists()
    decided(second, lead)
    assert carrying.make_due("effects") == 1
    assert now(second).state == "done"
    assert Escalation.objects.get().evidence["calls"] == [str(first.call_id)]


def test_several_that_expired_are_one_question(asking, tool, project, requester):
    rows = park(working_step(project, requester), "A", "B")
    _expire(*rows)
    assert set(Escalation.objects.get().evidence["calls"]) == {str(row.call_id) for row in rows}


@pytest.mark.parametrize("sealed", ["go_on", "ask"])
def test_what_was_sealed_counts(tool, project, requester, lead, sealed):
    policies.change(project, by=lead, call_at_expiry=sealed)
    row = waiting_call(project, requester)
    policies.change(project, by=lead, call_at_expiry="ask" if sealed == "go_on" else "go_on")
    assert Required.sealed(row.snapshot).at_expiry == sealed
    _expire(row)
    assert Escalation.objects.exists() is (sealed == "ask")
    assert now(row).state == "expired"


def test_a_call_sealed_before_lets_its_agent_go_on():
    assert Required.sealed({"policy": {"id": "x", "version": 1}}).at_expiry == ""


def test_the_page_says_what_follows(client, asking, tool, project, requester, lead):
    row = waiting_call(project, requester)
    client.force_login(lead)
    text = client.get(f"/calls/{row.pk}").content.decode()
    assert "nothing is called, and a person is asked how the step goes on." in text
