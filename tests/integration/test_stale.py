"""Main moved, or nobody decided: nothing is merged, and one click puts it up again."""

from __future__ import annotations

import time

import pytest
from django.db.models.functions import Now

from agents.events import Kind
from agents.lifecycle import StepKind, StepState, TaskState
from approvals import expiring, freshness, sealing
from approvals.deciding import ApprovalExpired, StaleApproval
from approvals.exceptions import UnknownApproval
from approvals.models import Approval, Effect, Signature
from approvals.reproposing import propose_again, request_again
from approvals.selectors import count_needs_you, needs_you
from projects.exceptions import NotAllowed, TransitionRefused
from projects.models import AuditEntry, Membership, User
from tests.approval_fixtures import end_time, make_change, make_report, make_repository, move_main
from tests.reviewing import decide

pytestmark = pytest.mark.django_db


@pytest.fixture
def bare(project, tmp_path):
    return make_repository(tmp_path, project)


@pytest.fixture
def approval(project, requester, lead, bare, tmp_path) -> Approval:
    return sealing.seal(make_change(project, requester, tmp_path))


@pytest.fixture
def member(stranger, project) -> User:
    Membership.objects.create(user=stranger, project=project, role="requester")
    return stranger


def _decide(approval: Approval, by, verdict="approve", note=""):
    return decide(
        approval.pk,
        by=by,
        verdict=verdict,
        digest=approval.digest,
        nonce=approval.nonce,
        note=note,
    )


def test_approving_on_a_moved_main_makes_it_stale(approval, bare, lead):
    actual = move_main(bare)
    with pytest.raises(StaleApproval, match=f"main has moved to {actual[:9]}"):
        _decide(approval, lead)
    approval.refresh_from_db()
    assert (approval.state, approval.task.state) == ("stale", TaskState.REVIEW)
    assert approval.decided_by is None
    assert not Signature.objects.exists()
    assert not Effect.objects.exists()
    last = approval.task.events.last()
    assert (last.kind, last.data["state"]) == (Kind.APPROVAL_DECIDED, "stale")


def test_a_stale_approval_stays_stale(approval, bare, lead, second_lead):
    move_main(bare)
    for person in (lead, second_lead):
        with pytest.raises(StaleApproval):
            _decide(approval, person)


def test_rejecting_needs_no_main(approval, bare, lead):
    move_main(bare)
    _decide(approval, lead, "reject", note="No.")
    approval.refresh_from_db()
    assert approval.state == "rejected"


def test_an_unreachable_repository_does_not_block_the_decision(approval, bare, lead):
    bare.rename(bare.with_name("away.git"))
    _decide(approval, lead)
    approval.refresh_from_db()
    assert approval.state == "approved"


def test_a_slow_repository_does_not_block_the_decision(approval, lead, monkeypatch):
    monkeypatch.setattr(freshness, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr("agents.workspace.git.Store.main_now", lambda self: time.sleep(1) or "x")
    assert freshness.main_moved(approval) is None


def test_proposing_again_opens_an_assemble_step_in_the_same_round(approval, bare, lead):
    move_main(bare)
    with pytest.raises(StaleApproval):
        _decide(approval, lead)
    propose_again(approval, by=lead)
    task = approval.task
    task.refresh_from_db()
    assert (task.state, task.round) == (TaskState.WORKING, 1)
    step = task.steps.filter(kind=StepKind.ASSEMBLE, state=StepState.READY).get()
    assert step.round == 1
    with pytest.raises(TransitionRefused):
        propose_again(approval, by=lead)


def test_the_next_version_is_sealed_and_carries_no_signature_over(
    approval, bare, lead, project, requester, tmp_path
):
    move_main(bare)
    with pytest.raises(StaleApproval):
        _decide(approval, lead)
    task = approval.task
    make_change(project, requester, tmp_path, task=_next_round_of(task), version=2, round=1)
    assert sealing.seal_ready() == 1
    new = task.approvals.latest("requested_at")
    assert (new.state, new.snapshot["proposal"]["version"]) == ("pending", 2)
    assert new.digest != approval.digest
    assert not new.signatures.exists()


def _next_round_of(task):
    task.round = 2  # only so that the steps of the fixture get keys of their own
    return task


def test_the_requester_may_propose_again_and_strangers_may_not(
    approval, bare, lead, requester, stranger, project
):
    move_main(bare)
    with pytest.raises(StaleApproval):
        _decide(approval, lead)
    with pytest.raises(UnknownApproval):
        propose_again(approval, by=stranger)
    Membership.objects.create(user=stranger, project=project, role="requester")
    with pytest.raises(NotAllowed):
        propose_again(approval, by=stranger)
    propose_again(approval, by=requester)


def test_who_may_not_put_it_up_again_does_not_end_it(client, approval, bare, lead, member):
    move_main(bare)
    address = f"/review/{approval.task.label}/r1/again"
    entries = AuditEntry.objects.count()
    client.force_login(member)
    answer = client.post(address, follow=True)
    assert "Only who asked for it or a tech lead" in answer.content.decode()
    approval.refresh_from_db()
    assert (approval.state, AuditEntry.objects.count()) == ("pending", entries)
    client.force_login(lead)
    client.post(address)
    approval.refresh_from_db()
    assert (approval.state, approval.task.state) == ("stale", TaskState.WORKING)


def test_what_waits_for_a_signature_is_not_proposed_again(approval, lead):
    with pytest.raises(TransitionRefused, match="nothing to rebuild"):
        propose_again(approval, by=lead)
    with pytest.raises(TransitionRefused, match="Only what expired"):
        request_again(approval, by=lead)


@pytest.fixture
def expired(project, requester, lead) -> Approval:
    approval = sealing.seal(make_report(project, requester))
    end_time(approval)
    assert expiring.expire_due() == 1
    approval.refresh_from_db()
    return approval


def test_time_ends_an_approval_and_never_approves(expired, lead):
    assert (expired.state, expired.decided_by) == ("expired", None)
    assert not Effect.objects.exists()
    assert expired.task.state == TaskState.REVIEW
    with pytest.raises(ApprovalExpired):
        _decide(expired, lead)


def test_what_is_in_time_does_not_expire(approval):
    assert expiring.expire_due() == 0
    approval.refresh_from_db()
    assert approval.state == "pending"


def test_an_expired_approval_is_not_sealed_again_by_itself(expired):
    assert sealing.seal_ready() == 0


def test_an_expired_approval_is_asked_again_with_a_new_seal(expired, requester, lead):
    new = request_again(expired, by=requester)
    assert (new.state, new.proposal_id) == ("pending", expired.proposal_id)
    assert new.nonce != expired.nonce
    assert new.expires_at > expired.expires_at
    _decide(new, lead)
    with pytest.raises(TransitionRefused, match="newer approval"):
        request_again(expired, by=requester)


def test_proposing_again_what_expired_asks_again(expired, lead):
    propose_again(expired, by=lead)
    assert expired.task.approvals.filter(state="pending").count() == 1


def test_an_approval_that_ended_undecided_needs_somebody_in_the_inbox(expired, lead, requester):
    for person in (lead, requester):
        (row,) = needs_you(person).again
        assert (row, row.reason) == (expired, expiring.EXPIRED)
        assert count_needs_you(person, cap=100) == 1


def test_the_approval_of_a_task_stopped_from_below_is_withdrawn(approval):
    type(approval.task).objects.filter(pk=approval.task_id).update(
        state="cancelled", finished_at=Now()
    )
    assert expiring.withdraw_orphans() == 1
    approval.refresh_from_db()
    assert approval.state == "withdrawn"
