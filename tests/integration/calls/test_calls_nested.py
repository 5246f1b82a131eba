"""Calls beside a question to another agent, and inside it: all wait at once, in any order."""

from __future__ import annotations

import json
from itertools import permutations

import pytest
from django.urls import reverse

from agents import delegating, escalations, reopening, stopping
from agents.finishing import settle
from agents.models import Delegation, Escalation, ToolCall
from agents.models.tasks import Choice, Rule
from agents.runtime import lease
from agents.runtime.claims import claim
from agents.runtime.contract import NeedsHuman
from approvals import policies
from approvals.calls import carrying, ending
from approvals.calls.undoing import undo
from projects.exceptions import InvalidInput
from tests.call_fixtures import decided, end_time
from tests.nested_fixtures import Nested, breaches, nest
from tests.runtime_fixtures import expire_leases

pytestmark = pytest.mark.django_db

EDITED = json.dumps({"invoice": "C-1", "cents": 900})


@pytest.fixture
def nested(tool, project, requester, lead) -> Nested:
    return nest(project, requester)


@pytest.fixture
def asks(project, lead) -> None:
    """The policy has a person asked when a call expires."""
    policies.change(project, by=lead, call_at_expiry="ask")


def refuse(nested: Nested, names: str, lead) -> None:
    for name in names:
        decided(nested.rows[name], lead, "refuse", note="Not this one.")


def test_all_are_sealed_at_once_and_stand_in_the_inbox(nested, client, lead):
    assert {name: row.state for name, row in nested.rows.items()} == dict.fromkeys("ABC", "pending")
    assert nested.states() == ("waiting_human", 1, "needs_human")
    assert nested.answerer.state == "waiting_human"
    client.force_login(lead)
    shown = client.get(reverse("console:inbox")).content.decode()
    assert all(f"/calls/{row.pk}" in shown for row in nested.rows.values())
    assert breaches() == []


@pytest.mark.parametrize("order", list(permutations("ABC")), ids="".join)
def test_they_are_decided_and_made_in_any_order(nested, server, lead, order):
    for place, name in enumerate(order, 1):
        if name == "A":
            decided(nested.rows["A"], lead)
        elif name == "B":
            decided(nested.rows["B"], lead, "refuse", note="Not this one.")
        else:
            decided(nested.rows["C"], lead, edited=EDITED)
        assert carrying.make_due("effects") == (name != "B")
        assert all(nested.now(left).state == "pending" for left in order[place:])
        if name == "C":
            nested.answer()
        assert nested.went_on() == (place == 3)
        assert breaches() == []
    assert nested.states() == ("ready", 0, "working")
    assert [nested.now(name).state for name in "ABC"] == ["done", "refused", "done"]
    assert [nested.now(name).call.state for name in "ABC"] == ["done", "refused", "done"]
    assert "Paid C-1." in nested.now("C").call.result
    made = sorted(str(nested.rows[name].pk) for name in "AC")
    assert sorted(key for key, _ in server.calls) == made


def test_the_answer_alone_does_not_let_the_asker_go_on(nested, lead):
    refuse(nested, "C", lead)
    nested.answer()
    assert nested.states() == ("waiting_human", 0, "needs_human")
    assert Delegation.objects.get().state == "answered"
    assert claim("worker-a", limit=9) == []


def test_the_calls_alone_do_not_let_the_asker_go_on(nested, lead):
    refuse(nested, "AB", lead)
    assert nested.states() == ("waiting", 1, "needs_human")
    assert nested.asker.reason == ""
    refuse(nested, "C", lead)
    assert nested.states() == ("waiting", 1, "working")


def test_the_next_attempt_goes_on_from_the_one_that_asked(nested, server, lead):
    for name in "BCA":
        decided(nested.rows[name], lead)
    assert carrying.make_due("effects") == 3
    nested.answer()
    (one,) = claim("worker-a", limit=9)
    assert (one.step, one.attempt.number, one.attempt.resumes.number) == (nested.asker, 2, 1)
    expire_leases()
    lease.sweep()
    (again,) = claim("worker-b", limit=9)
    assert (again.step, again.attempt.resumes_id) == (nested.asker, one.attempt.pk)
    assert set(ToolCall.objects.values_list("state", flat=True)) == {"done"}
    assert carrying.make_due("effects") == 0
    assert len(server.calls) == 3


def test_whom_it_asked_is_lost_and_replaced_while_its_calls_wait(nested, lead):
    refuse(nested, "C", lead)
    nested.claimed()
    expire_leases()
    lease.sweep()
    nested.answer()
    assert nested.states() == ("waiting_human", 0, "needs_human")
    refuse(nested, "AB", lead)
    assert (nested.states()[0], nested.went_on()) == ("ready", 1)
    assert Delegation.objects.count() == 1


def test_a_stopped_task_withdraws_them_all(nested, server, requester, lead):
    decided(nested.rows["B"], lead)
    stopping.stop(nested.task, by=requester)
    assert ending.withdraw_stopped() == 3
    assert {nested.now(name).state for name in "ABC"} == {"withdrawn"}
    assert nested.states()[::2] == ("cancelled", "cancelled")
    assert (nested.answerer.state, Delegation.objects.get().state) == ("cancelled", "cancelled")
    assert carrying.make_due("effects") == 0
    assert server.calls == []
    assert breaches() == []


def test_a_step_sent_again_takes_back_its_calls_and_its_question(nested, lead):
    reopening.reopen(nested.asker, note="Pay nothing yet.", by=lead)
    assert ending.withdraw_stopped() == 3
    assert {nested.now(name).state for name in "ABC"} == {"withdrawn"}
    assert (nested.states()[0], nested.answerer.state) == ("cancelled", "cancelled")


def test_undone_after_the_answer_it_waits_for_a_person_again(
    tool, server, project, requester, lead
):
    policies.change(project, by=lead, call_undo_seconds=300)
    nested = nest(project, requester)
    decided(nested.rows["A"], lead)
    refuse(nested, "BC", lead)
    nested.answer()
    assert nested.states() == ("waiting_human", 0, "working")
    again = undo(nested.rows["A"].pk, by=lead)
    assert nested.states() == ("waiting_human", 0, "needs_human")
    decided(again, lead, "refuse", note="Not now.")
    assert (nested.states(), nested.went_on()) == (("ready", 0, "working"), 1)
    assert server.calls == []


def test_a_person_who_leaves_the_answer_out_leaves_the_calls_waiting(
    tool, project, requester, lead
):
    nested = nest(project, requester, inner="")
    assert settle(nested.claimed(), NeedsHuman(rule=Rule.MODEL_REFUSED, detail="It refuses."))
    question = Escalation.objects.get()
    escalations.resolve(question, choice=Choice.GO_ON_WITHOUT, note="Not needed.", by=lead)
    assert nested.states() == ("waiting_human", 0, "needs_human")
    assert breaches() == []
    refuse(nested, "AB", lead)
    assert (nested.states(), nested.went_on()) == (("ready", 0, "working"), 1)


def _expire(nested: Nested, *names: str) -> Escalation:
    for name in names:
        end_time(nested.rows[name])
    assert ending.expire_due() == len(names)
    return Escalation.objects.get()


@pytest.mark.parametrize("answered_first", [True, False])
def test_what_nobody_decided_is_asked_at_once_and_the_answer_is_not_lost(
    asks, tool, project, requester, lead, answered_first
):
    nested = nest(project, requester, inner="")
    question = _expire(nested, "A", "B")
    assert nested.states() == ("waiting_human", 1, "needs_human")
    assert escalations.offered(question) == ["retry_with_note", "stop"]
    with pytest.raises(InvalidInput):
        escalations.resolve(question, choice="take_over", note="I pay.", by=lead)
    assert breaches() == []
    if answered_first:
        nested.answer()
        assert nested.states() == ("waiting_human", 0, "needs_human")
        question.refresh_from_db()
        assert {"take_over", "stop"} <= set(escalations.offered(question))
    escalations.resolve(question, choice="retry_with_note", note="Go on.", by=lead)
    if not answered_first:
        assert nested.states() == ("waiting", 1, "working")
        nested.answer()
    assert (nested.states(), nested.went_on()) == (("ready", 0, "working"), 1)
    assert breaches() == []


def test_a_question_that_is_not_put_leaves_the_calls_to_the_next_attempt(
    tool, project, requester, lead, monkeypatch
):
    monkeypatch.setattr(delegating.delegation_limits, "MAX_QUESTIONS", 0)
    with pytest.raises(Delegation.DoesNotExist):
        nest(project, requester)
    question = Escalation.objects.get()
    assert (question.rule, question.step.state) == ("delegation_limit", "waiting_human")
    calls = ToolCall.objects.filter(server="pay")
    assert set(calls.values_list("state", flat=True)) == {"waiting"}
    assert breaches() == []
