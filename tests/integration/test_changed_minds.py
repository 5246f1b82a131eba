"""Who has approved changes their mind while it waits for others: one verdict that settles."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from approvals import effects, following, invariants, policies, sealing
from approvals.deciding import AlreadyDecided, HunkDecision, NotAllowed
from approvals.models import Approval, Effect
from projects.exceptions import TransitionRefused
from projects.models import AuditEntry, Membership, User
from tests.api_fixtures import by_session
from tests.approval_fixtures import make_change, make_report, make_repository, move_main
from tests.holding_fixtures import merge_again, signed
from tests.reviewing import decide

pytestmark = pytest.mark.django_db
CHECK = next(check for check in invariants.CHECKS if check.name == "decided-once")
ENDED = {"reject": ("rejected", "rejected"), "request_changes": ("changes_requested", "working")}


@pytest.fixture
def approval(project, requester, lead, second_lead, tmp_path) -> Approval:
    """A change that two must sign, one of whom has."""
    make_repository(tmp_path, project)
    policies.change(project, by=lead, signatures_needed=2, undo_seconds=0)
    sealed = sealing.seal(make_change(project, requester, tmp_path))
    sign(sealed, lead)
    return sealed


def sign(approval: Approval, by: User, verdict: str = "approve", **facts: object) -> str:
    seen = {"digest": approval.digest, "nonce": approval.nonce}
    decide(approval.pk, by=by, verdict=verdict, **seen, **facts)
    return now(approval).state


def now(approval: Approval) -> Approval:
    return Approval.objects.select_related("task").get(pk=approval.pk)


@pytest.mark.parametrize("verdict", ENDED)
def test_the_first_of_two_ends_what_waits_for_the_second(approval, lead, second_lead, verdict):
    assert sign(approval, lead, verdict, note="I looked again: it is wrong.") == ENDED[verdict][0]
    found = now(approval)
    assert (found.decided_by, found.task.state) == (lead, ENDED[verdict][1])
    assert signed(approval) == [("dana", "approve"), ("dana", verdict)]
    acts = AuditEntry.objects.filter(object_id=str(approval.pk), actor=lead).order_by("id")
    acts = acts.exclude(action="file.viewed")
    assert list(acts.values_list("action", flat=True)) == [
        "approval.approve",
        f"approval.{verdict}",
    ]
    assert not Effect.objects.exists()
    assert CHECK.find().count == 0
    for person in (lead, second_lead):
        with pytest.raises(TransitionRefused):
            sign(approval, person, "reject", note="Once more.")
        with pytest.raises(TransitionRefused):
            sign(approval, person)


def test_who_signed_before_main_moved_sends_a_hunk_of_the_newer_version_back(
    approval, lead, project, tmp_path, monkeypatch
):
    move_main(tmp_path / "origin.git")
    monkeypatch.setattr(following, "FIRST_WAIT", 0.0)
    assert following.follow({}) == 1
    approval.refresh_from_db()
    again = merge_again(approval, tmp_path)
    assert (again.state, signed(again)) == ("pending", [("dana", "approve")])
    with pytest.raises(AlreadyDecided, match="until then you may still request changes or reject"):
        sign(again, lead)
    hunk = again.snapshot["files"][0]["hunks"][0]["id"]
    refused = [HunkDecision(id=hunk, verdict="refuse", note="Round it once.")]
    assert sign(again, lead, "request_changes", hunks=refused) == "changes_requested"
    assert signed(again) == [("dana", "approve"), ("dana", "request_changes")]
    assert again.comments.get().note == "Round it once."
    assert CHECK.find().count == 0


def test_who_may_not_sign_any_more_ends_nothing(approval, lead):
    Membership.objects.filter(user=lead).update(role="requester")
    with pytest.raises(NotAllowed):
        sign(approval, lead, "reject", note="It is wrong.")
    assert now(approval).state == "pending"


def test_once_it_is_approved_nobody_changes_their_mind(approval, lead, second_lead):
    assert sign(approval, second_lead) == "approved"
    with pytest.raises(AlreadyDecided, match="Ravi Singh approved this"):
        sign(approval, lead, "reject", note="Too late.")
    effects.carry_out_due("worker")
    assert Effect.objects.get().state == "done"


def test_page_and_api_offer_who_signed_to_end_it_and_nothing_more(client, approval, lead):
    client.force_login(lead)
    address = f"/review/{approval.task.label}/r1"
    page = client.get(address).content.decode()
    assert "Until then you may still request changes or reject it, which decides it." in page
    assert 'value="request_changes"' in page
    assert 'value="approve"' not in page
    assert f'data-draft="{lead.pk}-{approval.task_id}-1-signed"' in page
    form = {"approval": approval.pk, "digest": approval.digest, "nonce": approval.nonce}
    answer = client.post(f"{address}/decide", {**form, "verdict": "reject", "note": "It is wrong."})
    assert (answer.status_code, now(approval).state) == (302, "rejected")
    page = client.get(address).content.decode()
    assert page.count("signed struck") == 1
    assert f'data-draft-done="{lead.pk}-{approval.task_id}-1-signed"' in page
    found = by_session(lead).get(f"/api/v1/approvals/{approval.pk}").json()
    assert [each["verdict"] for each in found["signatures"]] == ["approve", "reject"]


@pytest.mark.django_db(transaction=True)
def test_of_the_first_who_rejects_and_the_second_who_approves_at_once_one_decides(
    project, requester, lead, second_lead
):
    policies.change(project, by=lead, signatures_needed=2, undo_seconds=0)
    gate = threading.Barrier(2)

    def at_once(approval: Approval, person: User, verdict: str) -> str:
        gate.wait()
        try:
            sign(approval, person, verdict, note="Because.")
        except TransitionRefused:
            return ""
        finally:
            connection.close()
        return verdict

    with ThreadPoolExecutor(2) as pool:
        for _ in range(20):
            approval = sealing.seal(make_report(project, requester))
            sign(approval, lead)
            told = pool.map(at_once, [approval] * 2, [lead, second_lead], ["reject", "approve"])
            (winner,) = filter(None, told)
            ends = {"reject": ("rejected", 0), "approve": ("approved", 1)}
            planned = Effect.objects.filter(approval=approval).count()
            assert (now(approval).state, planned) == ends[winner]
            assert approval.signatures.count() == 2
    assert CHECK.find().count == 0
