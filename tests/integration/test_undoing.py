"""Undoing inside the window, and stopping a task from above."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from agents.lifecycle import TaskState
from approvals import effects, policies, sealing
from approvals.deciding import AlreadyDecided
from approvals.exceptions import UndoRefused, UnknownApproval
from approvals.models import Approval, Effect
from approvals.stopping import stop_task
from approvals.undoing import may_undo, undo
from projects.exceptions import InvalidInput, NotAllowed, TransitionRefused
from projects.models import AuditEntry, Membership
from tests.approval_fixtures import make_report
from tests.reviewing import decide

pytestmark = pytest.mark.django_db


@pytest.fixture
def approval(project, requester, lead, second_lead) -> Approval:
    return sealing.seal(make_report(project, requester))


@pytest.fixture
def approved(approval, lead) -> Approval:
    _approve(approval, lead)
    approval.refresh_from_db()
    return approval


def _approve(approval: Approval, by) -> None:
    decide(approval.pk, by=by, verdict="approve", digest=approval.digest, nonce=approval.nonce)


def _end_window() -> None:
    Effect.objects.update(not_before=F("not_before") - timedelta(seconds=60))


def test_undoing_withdraws_and_seals_the_same_proposal_anew(approved, lead):
    assert may_undo(approved)
    new = undo(approved, by=lead)
    approved.refresh_from_db()
    assert (approved.state, approved.reason) == ("withdrawn", "Dana Kim undid the approval.")
    assert [effect.state for effect in approved.effects.all()] == ["withdrawn"]
    assert (new.state, new.proposal_id) == ("pending", approved.proposal_id)
    assert new.digest != approved.digest
    assert approved.task.state == TaskState.REVIEW
    assert AuditEntry.objects.filter(action="approval.undone", actor=lead).count() == 1
    told = approved.task.events.filter(kind="approval.decided").order_by("seq").last()
    assert (told.data["verdict"], told.data["by"]) == ("undo", "Dana Kim")


def test_the_effect_of_an_undone_approval_is_never_carried_out(approved, lead):
    undo(approved, by=lead)
    _end_window()
    assert effects.carry_out_due("worker-1") == 0
    assert Effect.objects.get().state == "withdrawn"


def test_the_new_approval_can_be_approved_and_carried_out(approved, lead, second_lead):
    new = undo(approved, by=second_lead)
    _approve(new, lead)
    _end_window()
    assert effects.carry_out_due("worker-1") == 1
    approved.task.refresh_from_db()
    assert approved.task.state == TaskState.DONE


def test_the_withdrawn_approval_cannot_be_signed_again(approved, lead, second_lead):
    undo(approved, by=lead)
    with pytest.raises(AlreadyDecided, match="withdrawn at"):
        _approve(approved, second_lead)


def test_undoing_after_the_window_is_refused_with_what_to_do(approved, lead):
    _end_window()
    assert not may_undo(approved)
    with pytest.raises(UndoRefused, match="once its task is paused, it can be undone"):
        undo(approved, by=lead)
    approved.refresh_from_db()
    assert approved.state == "approved"


def test_undoing_once_the_effect_has_begun_is_refused_and_changes_nothing(approved, lead):
    _end_window()
    effects.begin(effects._load(Effect.objects.get().pk), worker="worker-1")
    with pytest.raises(UndoRefused, match="press Revert"):
        undo(approved, by=lead)
    approved.refresh_from_db()
    assert (approved.state, Effect.objects.get().state) == ("approved", "doing")


def test_undoing_twice_is_refused(approved, lead):
    undo(approved, by=lead)
    with pytest.raises(UndoRefused, match="nothing to undo"):
        undo(approved, by=lead)


def test_what_was_never_approved_cannot_be_undone(approval, lead):
    with pytest.raises(UndoRefused, match="waits for a signature"):
        undo(approval, by=lead)


def test_only_leads_undo(approved, requester, stranger):
    with pytest.raises(NotAllowed):
        undo(approved, by=requester)
    with pytest.raises(UnknownApproval):
        undo(approved, by=stranger)


def test_stopping_withdraws_the_pending_approval(approval, requester):
    stop_task(approval.task, by=requester, reason="Not needed any more")
    approval.refresh_from_db()
    assert (approval.state, approval.task.state) == ("withdrawn", TaskState.CANCELLED)
    assert approval.reason == "Mira Ode stopped the task: Not needed any more"
    assert approval.task.reason == "Not needed any more"


def test_stopping_inside_the_window_withdraws_the_effects(approved, lead):
    stop_task(approved.task, by=lead, reason="")
    approved.refresh_from_db()
    assert (approved.state, Effect.objects.get().state) == ("withdrawn", "withdrawn")
    _end_window()
    assert effects.carry_out_due("worker-1") == 0


@pytest.mark.parametrize("finished", [False, True])
def test_stopping_is_refused_once_an_effect_has_begun(approved, lead, finished):
    effect = effects._load(Effect.objects.get().pk)
    _end_window()
    effects.begin(effect, worker="worker-1")
    if finished:
        effects.finish(effect, {})
    with pytest.raises(TransitionRefused, match="has begun"):
        stop_task(approved.task, by=lead, reason="")
    approved.refresh_from_db()
    assert approved.state == "approved"
    assert approved.task.state != TaskState.CANCELLED


def test_a_reason_is_text_of_bounded_length(approval, requester):
    with pytest.raises(InvalidInput, match="at most 4,000 characters"):
        stop_task(approval.task, by=requester, reason="x" * 4_001)
    stop_task(approval.task, by=requester, reason="Not\x00now \ud800")
    approval.refresh_from_db()
    assert approval.state == "withdrawn"
    assert "\x00" not in approval.reason


def test_a_member_who_neither_asked_nor_leads_cannot_stop(approval, stranger, project):
    with pytest.raises(UnknownApproval):
        stop_task(approval.task, by=stranger, reason="")
    Membership.objects.create(user=stranger, project=project, role="requester")
    with pytest.raises(NotAllowed, match="Only who asked"):
        stop_task(approval.task, by=stranger, reason="")


def test_stopping_a_task_that_is_over_is_refused(approval, lead):
    stop_task(approval.task, by=lead, reason="")
    with pytest.raises(TransitionRefused):
        stop_task(approval.task, by=lead, reason="")


@pytest.mark.django_db(transaction=True)
def test_undo_stop_and_executor_at_once_leave_one_outcome(project, requester, lead, second_lead):
    """Thirty rounds: the effect is done or withdrawn, and approval and task agree with it."""
    policies.change(project, by=lead, undo_seconds=0)
    gate = threading.Barrier(4)

    def run(act) -> bool:
        gate.wait()
        try:
            act()
        except TransitionRefused:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        for _ in range(30):
            approval = sealing.seal(make_report(project, requester))
            _approve(approval, lead)
            # The window ends between the four, not before them.
            Effect.objects.filter(approval=approval).update(
                not_before=Now() + timedelta(milliseconds=20)
            )
            undone, stopped, *_ = pool.map(
                run,
                [
                    lambda a=approval: undo(a, by=second_lead),
                    lambda a=approval: stop_task(a.task, by=requester, reason=""),
                    lambda: effects.carry_out_due("worker-1"),
                    lambda: effects.carry_out_due("worker-2"),
                ],
            )
            effects.carry_out_due("worker-3")
            approval.refresh_from_db()
            effect = approval.effects.get()
            assert effect.state in {"done", "withdrawn", "planned"}
            if effect.state == "done":
                assert (undone, stopped) == (False, False)
                assert (approval.state, approval.task.state) == ("approved", TaskState.DONE)
            elif effect.state == "withdrawn":
                assert undone or stopped
                assert approval.state == "withdrawn"
                expected = TaskState.CANCELLED if stopped else TaskState.REVIEW
                assert approval.task.state == expected
