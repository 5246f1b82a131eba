"""The inbox: whose turn it is, in which order, and what each row carries."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from agents import escalations
from agents.models import Escalation, Task
from approvals import policies, sealing
from approvals.selectors import FIRST, count_needs_you, decided, needs_you, with_agents
from projects.across import Mine
from projects.models import Membership
from tests.approval_fixtures import end_time, make_report, make_task, past_triggers
from tests.reviewing import decide

if TYPE_CHECKING:
    from approvals.models import Approval

pytestmark = pytest.mark.django_db


@pytest.fixture
def report(project, requester, lead, second_lead) -> Approval:
    return sealing.seal(make_report(project, requester))


def _approve(approval: Approval, by) -> None:
    decide(approval.pk, by=by, verdict="approve", digest=approval.digest, nonce=approval.nonce)


def _with_agents(person) -> list[Task]:
    keys = with_agents(Mine.of(person)).keys(["-id"], 10)
    return list(Task.objects.filter(pk__in=keys).order_by("-id"))


def _count(person) -> int:
    return count_needs_you(person, cap=100)


def test_rows_carry_sealed_facts_and_do_not_load_the_hunks(report, lead, django_assert_num_queries):
    with django_assert_num_queries(4):
        (row,) = needs_you(lead).pending
    assert row.get_deferred_fields() == {"snapshot"}
    assert row.sealed_title == "Where rounding happens"
    assert row.sealed_effects == report.snapshot["effects"]
    assert (row.sealed_round, row.sealed_claims) == (1, [])


def test_only_who_may_sign_is_asked(report, lead, second_lead, requester, stranger, admin):
    for person, number in ((lead, 1), (second_lead, 1), (requester, 0), (stranger, 0), (admin, 0)):
        assert len(needs_you(person).pending) == _count(person) == number


def test_the_requester_is_asked_only_while_the_project_is_single_person(project, requester):
    Membership.objects.filter(user=requester).update(role="lead")
    type(project).objects.update(single_person=True)
    sealing.seal(make_report(type(project).objects.get(), requester))
    assert len(needs_you(requester).pending) == 1
    type(project).objects.update(single_person=False)
    assert needs_you(requester).pending == []


def test_what_is_overdue_asks_nobody_for_a_signature(report, lead):
    end_time(report)
    assert needs_you(lead).pending == []


def test_who_signed_is_not_asked_again_while_another_is(project, requester, lead, second_lead):
    policies.change(project, by=lead, signatures_needed=2)
    approval = sealing.seal(make_report(project, requester))
    _approve(approval, lead)
    assert needs_you(lead).pending == []
    assert needs_you(second_lead).pending == [approval]


def test_the_higher_risk_comes_first_among_equals(project, requester, lead):
    made = {risk: sealing.seal(make_report(project, requester)) for risk in ("low", "high")}
    for risk, approval in made.items():
        past_triggers("UPDATE approvals_approval SET risk = %s WHERE id = %s", risk, approval.pk)
    past_triggers("UPDATE approvals_approval SET expires_at = now() + interval '1 hour'")
    assert [row.risk for row in needs_you(lead).pending] == ["high", "low"]


def test_a_decision_moves_the_row_to_decided_for_everybody(report, lead, second_lead):
    _approve(report, lead)
    assert _count(second_lead) == 0
    (row,) = decided(second_lead).rows
    assert (row.state, row.decided_by) == ("approved", lead)
    assert _with_agents(second_lead) == [report.task]


def test_work_under_way_is_with_the_agents(project, requester, lead, stranger):
    task = make_task(project, requester)
    type(task).objects.filter(pk=task.pk).update(state="working")
    assert _with_agents(lead) == [task]
    assert _with_agents(stranger) == []


def test_an_open_question_needs_the_requester_and_the_leads(project, requester, lead, stranger):
    task = make_task(project, requester)
    question = escalations.raise_on(task, rule="budget", detail="600,000 of 600,000 tokens used")
    for person in (requester, lead):
        assert needs_you(person).questions == [question]
        assert _count(person) == 1
    assert needs_you(stranger).questions == []


def test_more_than_are_shown_are_told_only_where_there_are_more(client, project, requester, lead):
    client.force_login(lead)

    def stopped() -> str:
        for question in range(10 if not Escalation.objects.exists() else 1):
            escalations.raise_on(make_task(project, requester), rule="budget", detail=str(question))
        page = client.get("/inbox").content.decode()
        return str(re.search(r"needs an answer <span class=.muted.>([^<]*)<", page)[1])

    assert [stopped(), stopped()] == ["10", "10+"]
    assert len(needs_you(lead).questions) == FIRST + 1


def test_counting_ends_at_the_cap(project, requester, lead):
    for _ in range(4):
        sealing.seal(make_report(project, requester))
    assert count_needs_you(lead, cap=3) == 3
