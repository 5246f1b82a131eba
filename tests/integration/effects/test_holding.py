"""Signatures hold when main moved in other files only: the same change lands without another act."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents import holds
from agents.events import Kind
from approvals import (
    deciding,
    effects,
    following,
    invariants,
    origins,
    policies,
    sealing,
    undoing,
    verifying,
)
from approvals.models import Approval, Effect
from approvals.policies import Rule
from notices import moments
from notices.recipients import Audience
from projects import auditing
from projects.models import AuditEntry, Membership, Project, Role, User
from tests.approval_fixtures import (
    EDITS,
    GREEN,
    approve,
    end_time,
    first_parents,
    git,
    make_change,
    move_main,
)
from tests.holding_fixtures import effect_of, fall_stale, merge_again, propose_again, signed
from tests.reviewing import decide

pytestmark = pytest.mark.django_db


def events(approval: Approval) -> list[str]:
    about = approval.task.events.filter(data__approval=str(approval.pk)).order_by("seq")
    return list(about.values_list("kind", flat=True))


def test_what_was_approved_lands_on_the_new_main_without_another_act(stale, bare, lead, tmp_path):
    again = merge_again(stale, tmp_path)
    assert (again.state, again.follows, again.decided_by) == ("approved", stale, lead)
    assert effects.carry_out_due("worker") == 1
    assert effect_of(again).state == "done"
    again.task.refresh_from_db()
    assert again.task.state == "done"
    tree = again.snapshot["effects"][0]["tree"]
    assert git(bare, "rev-parse", "main^{tree}") == tree
    assert git(bare, "show", "main:README.md") == "Another service."
    assert f"Countersign-Approval: {again.pk}" in git(bare, "log", "-1", "--format=%B", "main")


def test_a_copy_says_what_was_signed_and_names_its_original(stale, tmp_path):
    again = merge_again(stale, tmp_path)
    original, copy = stale.signatures.get(), again.signatures.get()
    assert copy.carried_from == original
    assert (copy.digest, copy.nonce) == (again.digest, again.nonce)
    for name in origins.COPIED:
        assert getattr(copy, name) == getattr(original, name), name
    assert origins.given(copy) == original
    assert again.snapshot["follows"] == {
        "approval": str(stale.pk),
        "digest": stale.digest,
        "times": 1,
        "signed_for": {str(original.signer_id): stale.digest},
    }


def test_the_log_and_the_task_say_that_signatures_hold_and_nobody_did_it(stale, tmp_path):
    again = merge_again(stale, tmp_path)
    entry = AuditEntry.objects.get(action="approval.signatures_held")
    assert (entry.actor, entry.object_id) == (None, str(again.pk))
    assert entry.detail["digest"] == again.digest
    assert entry.detail["followed_digest"] == stale.digest
    assert entry.detail["signatures"] == [str(stale.signatures.get().pk)]
    assert told_of_originals(entry) == [given_by(stale)]
    assert Kind.SIGNATURES_HELD in events(again)
    assert (entry.detail["settles"], entry.detail["risk"]) == (True, again.risk)
    # Nobody is asked, and the log does not say so.
    assert Kind.APPROVAL_REQUESTED not in events(again)
    assert logged(again) == ["approval.signatures_held"]


def given_by(approval: Approval) -> dict[str, str]:
    original = approval.signatures.get()
    return {
        "signature": str(original.pk),
        "signer": str(original.signer_id),
        "digest": approval.digest,
        "at": original.at.isoformat(),
    }


def told_of_originals(entry: AuditEntry) -> list[dict[str, str]]:
    """Return what an export of the log tells of them."""
    lines = [
        "".join(write(AuditEntry.objects.filter(pk=entry.pk)))
        for write in auditing.FORMATS.values()
    ]
    told = entry.detail["given"]
    assert all(each["signature"] in line for each in told for line in lines)
    return told


@pytest.mark.parametrize("times", [2, 3])
def test_it_holds_again_and_again(stale, bare, tmp_path, times):
    last = stale
    for number in range(times):
        last = merge_again(last, tmp_path)
        if number < times - 1:
            fall_stale(last, bare, text=f"Service {number}.\n")
    assert last.snapshot["follows"]["times"] == times
    assert set(last.snapshot["follows"]["signed_for"].values()) == {stale.digest}
    with CaptureQueriesContext(connection) as proof:
        verifying.require_signed(effect_of(last))
    walked = [
        each["sql"] for each in proof if 'FROM "approvals_signature" INNER JOIN' in each["sql"]
    ]
    assert len(walked) == 1 + times  # the signatures, and the way to the original of each, once
    newest = AuditEntry.objects.filter(action="approval.signatures_held").latest("pk")
    assert told_of_originals(newest) == [given_by(stale)]
    effects.carry_out_due("worker")
    assert effect_of(last).state == "done"


def test_the_undo_window_that_is_left_is_left(stale, lead, tmp_path):
    later = timezone.now() + timedelta(hours=1)
    Effect.objects.filter(approval=stale).update(not_before=later)
    again = merge_again(stale, tmp_path)
    assert effect_of(again).not_before == later
    assert effects.carry_out_due("worker") == 0
    sealed = undoing.undo(again, by=lead)
    assert (sealed.state, sealed.follows, signed(sealed)) == ("pending", None, [])


def test_a_window_that_is_over_is_not_opened_again(stale, tmp_path):
    again = merge_again(stale, tmp_path)
    assert effect_of(again).not_before == again.decided_at


def test_after_an_undo_nothing_holds_any_more(approval, lead, second_lead, bare, tmp_path):
    approve(approval, lead)
    Effect.objects.update(not_before=F("not_before") + timedelta(hours=1))
    undone = undoing.undo(approval, by=second_lead)
    move_main(bare)
    with pytest.raises(deciding.StaleApproval):
        approve(undone, second_lead)
    undone.refresh_from_db()
    again = merge_again(undone, tmp_path)
    assert (again.state, signed(again), again.follows) == ("pending", [], None)


def test_a_hold_stops_it_as_any_other(stale, lead, tmp_path):
    again = merge_again(stale, tmp_path)
    hold = holds.place(task=again.task, by=lead)
    assert effects.carry_out_due("worker") == 0
    holds.lift(hold, by=lead)
    assert effects.carry_out_due("worker") == 1
    assert effect_of(again).state == "done"


@pytest.fixture
def two(project, lead, second_lead, bare) -> None:
    policies.change(project, by=lead, signatures_needed=2)


def test_one_of_two_signatures_is_carried_and_the_other_asked_for(
    two, project, requester, lead, second_lead, bare, tmp_path, monkeypatch
):
    first = sealing.seal(make_change(project, requester, tmp_path))
    decided(first, lead)
    move_main(bare)
    monkeypatch.setattr(following, "FIRST_WAIT", 0.0)
    assert following.follow({}) == 1
    first.refresh_from_db()
    again = merge_again(first, tmp_path)
    assert (again.state, signed(again)) == ("pending", [("dana", "approve")])
    assert events(again) == [Kind.APPROVAL_REQUESTED, Kind.SIGNATURES_HELD]
    assert asked(project, again) == [second_lead]
    assert logged(again) == ["approval.requested", "approval.signatures_held"]
    decided(again, second_lead)
    effects.carry_out_due("worker")
    assert effect_of(again).state == "done"
    assert len(first_parents(bare)) == 3


def logged(approval: Approval) -> list[str]:
    rows = AuditEntry.objects.filter(object_id=str(approval.pk)).order_by("id")
    return list(rows.values_list("action", flat=True))


def asked(project: Project, approval: Approval) -> list[User]:
    event = approval.task.events.get(kind=Kind.APPROVAL_REQUESTED, data__approval=str(approval.pk))
    return Audience(project).of(moments.moment_of(event), approval)


def decided(approval: Approval, by: object) -> None:
    seen = {"digest": approval.digest, "nonce": approval.nonce}
    decide(approval.pk, by=by, verdict="approve", **seen)


def test_whose_right_came_back_before_main_moved_has_signed_what_is_carried(
    client, two, project, requester, lead, second_lead, bare, tmp_path
):
    third = User.objects.create(username="third", first_name="Samira", last_name="Lead")
    Membership.objects.create(user=third, project=project, role=Role.LEAD)
    first = sealing.seal(make_change(project, requester, tmp_path))
    decided(first, lead)
    Membership.objects.filter(user=lead).update(role=Role.REQUESTER)
    decided(first, second_lead)
    decided(first, third)
    Membership.objects.filter(user=lead).update(role=Role.LEAD)
    Effect.objects.update(not_before=timezone.now())
    fall_stale(first, bare)
    again = merge_again(first, tmp_path)
    assert (again.state, len(signed(again))) == ("approved", 3)
    Effect.objects.update(not_before=timezone.now())
    effects.carry_out_due("worker")
    client.force_login(requester)
    page = " ".join(client.get(f"/tasks/{again.task.label}").content.decode().split())
    assert "Sign-off: <strong>Dana Kim and Ravi Singh and Samira Lead</strong>" in page


def test_who_may_not_sign_any_more_has_to_be_replaced(
    two, project, requester, lead, second_lead, bare, tmp_path
):
    first = sealing.seal(make_change(project, requester, tmp_path))
    decided(first, lead)
    decided(first, second_lead)
    first.refresh_from_db()
    fall_stale(first, bare)
    Membership.objects.filter(user=second_lead).update(role="requester")
    again = merge_again(first, tmp_path)
    assert (again.state, signed(again)) == ("pending", [("dana", "approve")])


DIFFERS = {
    "main changed one of its files": (
        {"path": "docs/rounding.md", "text": "Tax is rounded half up.\n\nAlways.\n"},
        {},
        "old_blob",
    ),
    "it changes another file, too": ({}, {"texts": {**EDITS, "new.txt": "New.\n"}}, "the list"),
    "it says something else": ({}, {"summary": "Now without tests."}, "proposal"),
    "its checks are red": ({}, {"checks": {**GREEN, "exit_code": 1, "failed": 1}}, "checks"),
    "its checks did not run": ({}, {"checks": {}}, "checks"),
    "a warning is new": (
        {},
        {"warnings": [{"kind": "secret", "path": "README.md", "line": 1}]},
        "risk",
    ),
}


@pytest.mark.parametrize("case", DIFFERS)
def test_what_is_not_the_same_is_asked_anew_and_says_why(approved, bare, tmp_path, case):
    moved, facts, name = DIFFERS[case]
    fall_stale(approved.approval, bare, **moved)
    again = merge_again(approved.approval, tmp_path, **facts)
    assert (again.state, again.follows, signed(again)) == ("pending", None, [])
    assert again.snapshot["asked_again"]["name"].startswith(name)
    assert effects.carry_out_due("worker") == 0


def test_a_signature_holds_no_longer_than_what_was_signed(stale, tmp_path):
    end_time(stale)
    again = merge_again(stale, tmp_path)
    assert (again.state, again.follows, signed(again)) == ("pending", None, [])
    assert again.snapshot["asked_again"] == {"name": "signers", "path": ""}


def test_a_policy_may_want_them_asked_again(project, requester, lead, bare, tmp_path):
    policies.change(project, by=lead, signatures_hold=False)
    first = sealing.seal(make_change(project, requester, tmp_path))
    approve(first, lead)
    first.refresh_from_db()
    fall_stale(first, bare)
    again = merge_again(first, tmp_path)
    assert (again.state, again.follows, signed(again)) == ("pending", None, [])


def test_consent_given_later_is_none(project, requester, lead, bare, tmp_path):
    policies.change(project, by=lead, signatures_hold=False)
    first = sealing.seal(make_change(project, requester, tmp_path))
    approve(first, lead)
    policies.change(project, by=lead, signatures_hold=True)
    first.refresh_from_db()
    fall_stale(first, bare)
    assert merge_again(first, tmp_path).state == "pending"


def test_a_stricter_rule_meanwhile_is_asked(stale, project, lead, tmp_path):
    policies.change(project, by=lead, rules=[Rule(name="All", every_file_viewed=True)])
    again = merge_again(stale, tmp_path)
    assert again.state == "pending"
    assert again.snapshot["asked_again"] == {"name": "policy", "path": ""}


def test_main_set_back_by_hand_carries_nothing_out(stale, bare, tmp_path):
    """Then what somebody took from main would come back with the change."""
    git(bare, "update-ref", "refs/heads/main", git(bare, "commit-tree", "main~1^{tree}", "-m", "x"))
    again = merge_again(stale, tmp_path)
    assert again.state == "approved"
    before = first_parents(bare)
    effects.carry_out_due("worker")
    assert first_parents(bare) == before
    effect = effect_of(again)
    assert effect.state == "failed"
    assert "the main it was signed on and the main of now differ" in effect.error
    again.refresh_from_db()
    assert (again.state, again.main_moved) == ("stale", False)
    assert merge_again(again, tmp_path).follows is None  # asked anew: it does not go round


def test_of_what_was_approved_one_is_merged_again_at_a_time(
    project, requester, lead, bare, tmp_path
):
    several = [sealing.seal(make_change(project, requester, tmp_path)) for _ in range(3)]
    for each in several:
        approve(each, lead)
    move_main(bare)
    assert effects.carry_out_due("worker") == 3
    assert following.follow({}) == 1
    assert following.follow({}) == 0  # it is on its way
    assert following._lands(project)


def test_nothing_is_broken_by_it(stale, tmp_path, settings):
    merge_again(stale, tmp_path)
    effects.carry_out_due("worker")
    found = {check.name: check.find() for check in invariants.CHECKS}
    assert {name: each.shown for name, each in found.items() if each.count} == {}


@pytest.mark.django_db(transaction=True)
def test_two_workers_carry_it_over_once(stale, tmp_path):
    """Both look at the same proposal; one seals it, and its signatures are copied once."""
    propose_again(stale, tmp_path)
    both, faults = Barrier(4), []

    def seal() -> None:
        try:
            both.wait(20)
            sealing.seal_ready()
            effects.carry_out_due("worker")
        except Exception as fault:  # noqa: BLE001  # told below
            faults.append(fault)
        finally:
            connection.close()

    workers = [Thread(target=seal) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert not faults
    assert not any(worker.is_alive() for worker in workers)
    again = Approval.objects.get(follows=stale)
    assert signed(again) == [("dana", "approve")]
    effects.carry_out_due("worker")
    assert effect_of(again).state == "done"


def test_main_moves_again_before_it_landed(stale, bare, tmp_path):
    again = merge_again(stale, tmp_path)
    fall_stale(again, bare, text="Once more.\n")
    third = merge_again(again, tmp_path)
    assert (third.state, third.follows) == ("approved", again)
    effects.carry_out_due("worker")
    assert effect_of(third).state == "done"
    assert Effect.objects.filter(state="done").count() == 1
