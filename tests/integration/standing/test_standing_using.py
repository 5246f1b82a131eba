"""A standing grant lets calls through that fit it, so many, until its end, and no others."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from agents.lifecycle import StepState, TaskState
from agents.models import Event, Tool
from approvals import policies
from approvals.calls import carrying
from approvals.calls.deciding import decide
from approvals.exceptions import NotAllowed
from approvals.models import CallApproval, Remember, StandingGrant, StandingUse
from approvals.standing import granting
from approvals.standing.exceptions import UnknownGrant
from approvals.standing.patterns import Kind, Pattern
from approvals.standing.revoking import revoke
from projects.exceptions import InvalidInput
from projects.models import AuditEntry, Membership, Project
from tests.approval_fixtures import make_agent, past_triggers
from tests.call_fixtures import decided, park, working_step
from tests.standing_fixtures import asks, let_any, plant, remembered, standing_grant

pytestmark = pytest.mark.django_db


def _now(row: CallApproval) -> CallApproval:
    return CallApproval.objects.select_related("call", "step", "task").get(pk=row.pk)


def _make_all() -> None:
    while carrying.make_due("effects"):
        pass


def _acts(grant: StandingGrant) -> list[str]:
    rows = AuditEntry.objects.filter(object_id=str(grant.pk)).order_by("id")
    return list(rows.values_list("action", flat=True))


def test_a_further_call_that_fits_is_made_without_asking(grant, server, project, requester, lead):
    _make_all()
    (row,) = asks(project, requester, "I-2")
    assert (row.state, row.decided_by) == ("allowed", lead)
    assert row.task.state == TaskState.WORKING
    _make_all()
    row = _now(row)
    assert (row.state, row.call.result, row.step.state) == ("done", "Paid I-2.", StepState.READY)
    assert set(server.paid) == {str(grant.origin_id), str(row.pk)}
    use = StandingUse.objects.get()
    assert (use.approval_id, use.number) == (row.pk, 1)
    told = Event.objects.get(task=row.task, kind="call.decided").data
    assert (told["by"], told["number"], told["of"]) == ("Dana Kim", 1, 10)
    assert told["standing_grant"] == str(grant.pk)
    assert _acts(grant) == ["standing_grant.made", "standing_grant.used"]
    entry = AuditEntry.objects.get(action="standing_grant.used")
    assert entry.detail["call"] == str(row.pk)


@pytest.mark.parametrize(
    ("invoice", "more"),
    [
        ("J-2", {}),
        ("I-../../etc", {}),
        ("I-2\n", {}),
        ("I-2", {"cents": 901}),
        ("I-2", {"cents": 900.0}),
        ("I-2", {"note": "more"}),
    ],
)
def test_what_does_not_fit_asks_a_person(grant, project, requester, invoice, more):
    from agents.finishing import settle
    from agents.runtime.contract import Waits
    from approvals.calls import sealing
    from tests.call_fixtures import call

    step = working_step(project, requester)
    made = call(step, invoice, **more)
    settle(step.attempts.get(), Waits())
    sealing.seal_waiting()
    row = CallApproval.objects.get(call=made)
    assert (row.state, row.task.state) == ("pending", TaskState.NEEDS_HUMAN)
    assert not StandingUse.objects.exists()


def test_the_last_use_is_the_last(tool, server, project, requester, lead):
    grant = standing_grant(project, requester, lead, max_hits=2)
    rows = asks(project, requester, "I-2", "I-3", "I-4")
    assert [row.state for row in rows] == ["allowed", "allowed", "pending"]
    grant = StandingGrant.objects.with_state().get(pk=grant.pk)
    assert (grant.hits, grant.state) == (2, "used_up")
    _make_all()
    assert {_now(row).state for row in rows[:2]} == {"done"}


def test_sealing_again_counts_nothing_more(grant, project, requester):
    from approvals.calls import sealing

    (row,) = asks(project, requester, "I-2")
    assert sealing.seal_waiting() == 0
    assert not sealing.seal(row.call_id)
    assert StandingGrant.objects.get().hits == 1


def test_a_crash_while_sealing_counts_nothing(grant, project, requester, monkeypatch):
    from agents.finishing import settle
    from agents.runtime.contract import Waits
    from approvals.calls import sealing
    from tests.call_fixtures import call

    class _Killed(BaseException):
        pass

    def die(*_args, **_kwargs):
        raise _Killed

    step = working_step(project, requester)
    made = call(step, "I-2")
    settle(step.attempts.get(), Waits())
    with monkeypatch.context() as patch:
        patch.setattr("projects.audit.record", die)
        with pytest.raises(_Killed):
            sealing.seal(made.pk)
    assert StandingGrant.objects.get().hits == 0
    assert sealing.seal(made.pk)
    assert (StandingGrant.objects.get().hits, StandingUse.objects.count()) == (1, 1)


def test_a_grant_whose_time_is_over_asks_again(grant, project, requester):
    past_triggers(
        "UPDATE approvals_standinggrant SET at = at - interval '2 days',"
        " expires_at = expires_at - interval '2 days'"
    )
    (row,) = asks(project, requester, "I-2")
    assert row.state == "pending"
    assert StandingGrant.objects.with_state().get().state == "expired"


def test_a_grant_for_one_agent_is_for_no_other(tool, project, requester, lead):
    from agents.models import Grant, Step

    standing_grant(project, requester, lead, only_this_agent=True)
    other = make_agent("payer", "Paying agent")
    Grant.objects.create(agent=other, tool=tool)
    step = working_step(project, requester)
    Step.objects.filter(pk=step.pk).update(agent=other, version=other.published())
    (row,) = park(Step.objects.get(pk=step.pk), "I-2")
    assert row.state == "pending"
    assert asks(project, requester, "I-3")[0].state == "allowed"


def test_a_tool_that_changed_asks_again(grant, project, requester):
    Tool.objects.update(definition_digest="e" * 64)
    assert asks(project, requester, "I-2")[0].state == "pending"


def test_a_grant_is_of_one_project(grant, requester, lead):
    other = Project.objects.create(slug="other", name="acme/other", repository="/nowhere.git")
    for person, role in ((requester, "requester"), (lead, "lead")):
        Membership.objects.create(user=person, project=other, role=role)
    let_any(other, lead)
    assert asks(other, requester, "I-2")[0].state == "pending"


def test_who_granted_it_never_allows_calls_of_their_own_task(grant, project, lead, second_lead):
    assert asks(project, lead, "I-2")[0].state == "pending"
    assert asks(project, second_lead, "I-3")[0].state == "allowed"


def test_in_a_project_of_one_person_they_may(tool, server, project, lead):
    Project.objects.filter(pk=project.pk).update(single_person=True)
    project.refresh_from_db()
    grant = standing_grant(project, lead, lead)
    (row,) = asks(project, lead, "I-2")
    _make_all()
    assert (_now(row).state, _now(row).decided_by) == ("done", grant.granted_by)


def test_who_is_no_lead_any_more_grants_nothing(grant, project, requester, lead):
    Membership.objects.filter(user=lead).update(role="requester")
    assert asks(project, requester, "I-2")[0].state == "pending"


def test_revoked_it_lets_nothing_more_through(grant, project, requester, second_lead):
    revoke(grant.pk, by=second_lead)
    assert asks(project, requester, "I-2")[0].state == "pending"
    first = StandingGrant.objects.get().revoked_at
    revoke(grant.pk, by=second_lead)
    assert StandingGrant.objects.get().revoked_at == first
    assert _acts(grant) == ["standing_grant.made", "standing_grant.revoked"]


def test_a_call_that_was_let_through_and_not_sent_is_not_made_once_it_is_revoked(
    grant, server, project, requester, lead, second_lead
):
    _make_all()
    (row,) = asks(project, requester, "I-2")
    revoke(grant.pk, by=second_lead)
    _make_all()
    row = _now(row)
    assert (row.state, row.call.state, row.step.state) == ("failed", "failed", StepState.READY)
    assert "it was revoked. Nothing was called" in row.call.result
    assert len(server.calls) == 1


def test_revoked_at_the_last_moment_nothing_is_sent(
    grant, server, project, requester, lead, monkeypatch
):
    from approvals.calls import verifying

    _make_all()
    (row,) = asks(project, requester, "I-2")
    proven = verifying.require_allowed

    def revoked_meanwhile(approval):
        proven(approval)
        revoke(grant.pk, by=lead)

    with monkeypatch.context() as patch:
        patch.setattr(verifying, "require_allowed", revoked_meanwhile)
        carrying.make_due("effects")
    assert _now(row).state == "calling"
    _make_all()
    assert _now(row).state == "failed"
    assert len(server.calls) == 1


def test_only_tech_leads_of_the_project_revoke(grant, requester, stranger):
    with pytest.raises(NotAllowed):
        revoke(grant.pk, by=requester)
    with pytest.raises(UnknownGrant):
        revoke(grant.pk, by=stranger)
    assert StandingGrant.objects.get().revoked_at is None


def test_the_policy_of_a_project_says_for_which_tools(tool, project, requester, lead):
    (row,) = park(working_step(project, requester), "I-1")
    with pytest.raises(InvalidInput, match="cannot be taken back"):
        remembered(row, lead)
    assert _now(row).state == "pending"
    tool.idempotent = True
    tool.save()
    (row,) = park(working_step(project, requester), "I-1")
    remembered(row, lead)
    assert asks(project, requester, "I-2")[0].state == "allowed"
    policies.change(project, by=lead, standing_grants=Remember.NONE)
    assert asks(project, requester, "I-3")[0].state == "pending"


@pytest.mark.parametrize(
    "asked",
    [
        {"hours": 0},
        {"hours": 721},
        {"max_hits": 0},
        {"max_hits": 1_001},
        {"widened": {"invoice": Pattern(kind=Kind.PREFIX, value="J-")}},
        {"widened": {"invoice": Pattern(kind=Kind.GLOB, value="*")}},
        {"widened": {"cents": Pattern(kind=Kind.PREFIX, value="9")}},
        {"widened": {"nothing": Pattern(kind=Kind.ANY)}},
    ],
)
def test_terms_that_are_too_wide_or_wrong_decide_nothing(tool, project, requester, lead, asked):
    let_any(project, lead)
    (row,) = park(working_step(project, requester), "I-1")
    with pytest.raises(InvalidInput):
        remembered(row, lead, **asked)
    assert _now(row).state == "pending"
    assert not StandingGrant.objects.exists()


def test_only_what_is_allowed_as_it_was_asked_for_is_remembered(tool, project, requester, lead):
    let_any(project, lead)
    (row,) = park(working_step(project, requester), "I-1")
    seal = {"digest": row.digest, "nonce": row.nonce, "confirmation": row.task.label}
    seal |= {"by": lead, "remember": granting.Asked()}
    with pytest.raises(InvalidInput):
        decide(row.pk, verdict="refuse", note="No.", **seal)
    with pytest.raises(InvalidInput):
        decide(row.pk, verdict="allow", edited='{"invoice": "I-2", "cents": 1}', **seal)
    for person in (requester,):
        with pytest.raises(NotAllowed):
            decide(row.pk, **{**seal, "by": person}, verdict="allow")
    with pytest.raises(NotAllowed, match="token"):
        decide(row.pk, **seal, verdict="allow", via="token")
    assert not StandingGrant.objects.exists()


def test_a_project_has_so_many_grants_in_force(tool, project, requester, lead):
    grant = standing_grant(project, requester, lead)
    plant(grant, granting.MOST_OPEN - 2)
    rows = asks(project, requester, "J-1", "J-2")
    remembered(rows[0], lead, widened={})
    with pytest.raises(InvalidInput, match="Revoke one"):
        remembered(rows[1], lead, widened={})
    assert _now(rows[1]).state == "pending"
    revoke(grant.pk, by=lead)
    remembered(rows[1], lead, widened={})
    assert StandingGrant.objects.in_force().count() == granting.MOST_OPEN


def test_without_widening_only_the_very_same_call_goes_through(tool, project, requester, lead):
    grant = standing_grant(project, requester, lead, widened={})
    rows = asks(project, requester, "I-1", "I-2")
    assert [row.state for row in rows] == ["allowed", "pending"]
    assert grant.expires_at - grant.at == timedelta(hours=24)
    assert grant.expires_at > timezone.now()


def test_what_waits_already_is_decided_by_itself(tool, project, requester, lead):
    let_any(project, lead)
    first, second = park(working_step(project, requester), "I-1", "I-2")
    remembered(first, lead)
    assert _now(second).state == "pending"
    decided(second, lead, "refuse", note="Not this one.")
    assert StandingGrant.objects.get().hits == 0
