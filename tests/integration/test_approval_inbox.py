"""The inbox: whose turn it is, in which order, and what each line says."""

from __future__ import annotations

import pytest
from django.db.models.functions import Now

from agents import escalations
from agents.models import Claim
from approvals import policies, sealing
from approvals.deciding import decide
from approvals.models import Approval
from approvals.selectors import counts, effect_line, inbox, may_sign
from projects.models import Membership
from tests.approval_fixtures import make_change, make_report, make_repository, make_task

pytestmark = pytest.mark.django_db


@pytest.fixture
def report(project, requester, lead, second_lead) -> Approval:
    return sealing.seal(make_report(project, requester))


def _approve(approval: Approval, by) -> None:
    decide(approval.pk, by=by, verdict="approve", digest=approval.digest, nonce=approval.nonce)


def test_a_row_says_effect_evidence_agents_and_due(project, requester, lead, tmp_path):
    make_repository(tmp_path, project)
    proposal = make_change(project, requester, tmp_path)
    approval = sealing.seal(proposal)
    (row,) = inbox(lead)
    assert (row.kind, row.title, row.round) == ("approval", "Round once on the total", 1)
    assert row.effect == "Merge, acme/billing to main, 2 files +3 \N{MINUS SIGN}3"
    assert row.evidence == ["4 pass, our run", "1 of 1 claims proven"]
    assert [agent["slug"] for agent in row.agents] == ["coder", "tech-writer", "aggregator"]
    assert (row.risk, row.due, row.reversible) == (approval.risk, approval.expires_at, True)
    assert (row.id, row.rehearsal) == (approval.pk, True)


def test_rows_do_not_load_the_hunks(report, lead, django_assert_num_queries):
    with django_assert_num_queries(4):
        rows = inbox(lead)
    assert rows[0].approval.get_deferred_fields() == {"snapshot"}


def test_contradicted_claims_are_said_first(project, requester, lead):
    proposal = make_report(project, requester)
    for position, verdict in enumerate(["proven", "contradicted"]):
        Claim.objects.create(
            proposal=proposal, position=position, text="x", verdict=verdict, evidence="y"
        )
    sealing.seal(proposal)
    assert inbox(lead)[0].evidence == ["1 of 2 claims contradicted"]


def test_only_who_may_sign_is_asked(report, lead, second_lead, requester, stranger, admin):
    for person, number in ((lead, 1), (second_lead, 1), (requester, 0), (stranger, 0), (admin, 0)):
        assert len(inbox(person)) == counts(person)["needs_you"] == number


def test_who_signed_is_not_asked_again_while_another_is(project, requester, lead, second_lead):
    policies.change(project, by=lead, signatures_needed=2)
    approval = sealing.seal(make_report(project, requester))
    _approve(approval, lead)
    assert inbox(lead) == []
    (row,) = inbox(second_lead)
    assert row.needed == 2


def test_the_higher_risk_comes_first_among_equals(project, requester, lead):
    made = {risk: sealing.seal(make_report(project, requester)) for risk in ("low", "high")}
    due = made["low"].expires_at
    for risk, approval in made.items():
        Approval.objects.filter(pk=approval.pk).update(risk=risk, expires_at=due)
    assert [row.risk for row in inbox(lead)] == ["high", "low"]


def test_a_decision_moves_the_row_to_decided_for_everybody(report, lead, second_lead):
    _approve(report, lead)
    assert inbox(second_lead) == []
    (row,) = inbox(second_lead, "decided")
    assert (row.state, row.decided_by) == ("approved", "Dana Kim")
    assert counts(second_lead) == {"needs_you": 0, "with_agents": 1, "decided": 1}


def test_work_under_way_is_with_the_agents(project, requester, lead, stranger):
    task = make_task(project, requester)
    type(task).objects.filter(pk=task.pk).update(state="working")
    assert [row.task for row in inbox(lead, "with_agents")] == [task]
    assert inbox(stranger, "with_agents") == []


def test_an_open_question_needs_the_requester_and_the_leads(project, requester, lead, stranger):
    task = make_task(project, requester)
    escalations.raise_on(task, rule="budget", detail="600,000 of 600,000 tokens used")
    for person in (requester, lead):
        (row,) = inbox(person)
        assert (row.kind, row.evidence) == ("escalation", ["600,000 of 600,000 tokens used"])
    assert inbox(stranger) == []


def test_counting_ends_at_the_cap(project, requester, lead):
    for _ in range(4):
        sealing.seal(make_report(project, requester))
    assert counts(lead, cap=3)["needs_you"] == 3


def test_may_sign_says_why_not(report, lead, second_lead, requester, stranger):
    assert may_sign(lead, report) == (True, "")
    assert may_sign(requester, report)[1].startswith("Only a tech lead")
    Membership.objects.filter(user=requester).update(role="lead")
    assert may_sign(requester, report)[1].startswith("You asked for this work")
    assert may_sign(stranger, report)[0] is False
    Approval.objects.filter(pk=report.pk).update(expires_at=Now())
    assert may_sign(lead, report)[1].startswith("The time to decide is over")
    report.state = "stale"
    assert may_sign(lead, report) == (False, "This approval is stale.")


def test_the_line_of_an_effect_names_what_cannot_be_undone():
    assert effect_line({"kind": "mcp.call"}) == "mcp.call, cannot be undone"
    assert effect_line({"kind": "deliver", "to": "Mira Ode"}) == "Deliver, a report to Mira Ode"
    assert effect_line({}) == ""
