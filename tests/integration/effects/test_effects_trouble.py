"""When carrying out meets trouble: a person is asked, and what may have landed is never called failed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from agents import escalations
from agents.lifecycle import TaskState
from agents.workspace.exceptions import RepositoryUnreachable
from agents.workspace.git import Store
from approvals import effects, expiring, merging
from approvals.models import Approval, Effect
from approvals.stopping import stop_task
from projects.exceptions import TransitionRefused
from projects.models import AuditEntry
from tests.approval_fixtures import first_parents

pytestmark = pytest.mark.django_db


def test_an_unreachable_repository_asks_a_person_and_a_retry_merges_once(approved, bare, lead):
    away = bare.with_name("away.git")
    bare.rename(away)
    effects.carry_out_due("worker-1")
    approved.refresh_from_db()
    task = approved.approval.task
    task.refresh_from_db()
    assert (approved.state, task.state) == ("failed", TaskState.NEEDS_HUMAN)
    question = task.escalations.get()
    assert question.rule == "effect_failed"
    assert "cannot be reached" in question.detail
    away.rename(bare)
    escalations.resolve(question, choice="retry_with_note", by=lead)
    task.refresh_from_db()
    assert task.state == TaskState.EXECUTING
    effects.carry_out_due("worker-1")
    approved.refresh_from_db()
    task.refresh_from_db()
    assert (approved.state, task.state, len(first_parents(bare))) == ("done", TaskState.DONE, 2)


def test_try_again_on_the_task_page_is_taken_up_by_the_executor(approved, bare, lead):
    away = bare.with_name("away.git")
    bare.rename(away)
    effects.carry_out_due("worker-1")
    away.rename(bare)
    question = approved.approval.task.escalations.get()
    escalations.resolve(question, choice="retry_with_note", by=lead)
    effects.carry_out_due("worker-1")
    approved.refresh_from_db()
    assert (approved.state, len(first_parents(bare))) == ("done", 2)


def test_a_push_nobody_answered_is_unclear_and_a_retry_finds_it_landed(
    approved, bare, lead, monkeypatch
):
    push = Store.push_main

    def lands_but_the_answer_is_lost(self, new, *, expected):
        push(self, new, expected=expected)
        raise RepositoryUnreachable

    with monkeypatch.context() as patch:
        patch.setattr(Store, "push_main", lands_but_the_answer_is_lost)
        effects.carry_out_due("worker-1")
    approved.refresh_from_db()
    assert approved.state == "unknown"
    assert "may have landed" in approved.error
    landed = first_parents(bare)
    assert len(landed) == 2
    _try_again(approved, lead)
    effects.carry_out_due("worker-1")
    approved.refresh_from_db()
    assert (approved.state, approved.result["commit"]) == ("done", landed[0])
    assert first_parents(bare) == landed


def test_what_may_have_landed_stays_unclear_until_somebody_could_look(
    approved, bare, lead, monkeypatch
):
    push, away = Store.push_main, bare.with_name("away.git")

    def lands_and_goes_away(self, new, *, expected):
        push(self, new, expected=expected)
        bare.rename(away)
        raise RepositoryUnreachable

    with monkeypatch.context() as patch:
        patch.setattr(Store, "push_main", lands_and_goes_away)
        effects.carry_out_due("worker-1")
    for _ in range(2):
        approved.refresh_from_db()
        assert approved.state == "unknown"
        with pytest.raises(TransitionRefused, match="Nobody knows yet"):
            stop_task(approved.approval.task, by=lead)
        _try_again(approved, lead)
        effects.carry_out_due("worker-1")
    away.rename(bare)
    _try_again(approved, lead)
    effects.carry_out_due("worker-1")
    approved.refresh_from_db()
    assert (approved.state, len(first_parents(bare))) == ("done", 2)


def test_a_crash_after_the_push_and_a_repository_away_is_unclear_not_failed(approved, bare):
    effect = effects._load(approved.pk)
    effects.begin(effect, worker="dead")
    merging.merge(effect)
    bare.rename(bare.with_name("away.git"))
    effects.carry_out_due("worker-1")
    approved.refresh_from_db()
    assert approved.state == "unknown"
    assert "may have landed" in approved.error


def test_what_is_unclear_when_the_task_is_stopped_is_not_called_withdrawn(
    approved, bare, lead, monkeypatch
):
    def no_answer(self, new, *, expected):
        raise RepositoryUnreachable

    monkeypatch.setattr(Store, "push_main", no_answer)
    effects.carry_out_due("worker-1")
    question = approved.approval.task.escalations.get()
    escalations.resolve(question, choice="stop", by=lead)
    assert expiring.withdraw_orphans() == 0
    approved.refresh_from_db()
    assert approved.state == "unknown"
    assert Approval.objects.get().state == "approved"


def test_what_surely_failed_is_withdrawn_with_its_stopped_task(approved, bare, lead):
    bare.rename(bare.with_name("away.git"))
    effects.carry_out_due("worker-1")
    question = approved.approval.task.escalations.get()
    escalations.resolve(question, choice="stop", by=lead)
    assert expiring.withdraw_orphans() == 1
    assert expiring.withdraw_orphans() == 0
    assert Approval.objects.get().state == "withdrawn"
    assert AuditEntry.objects.filter(action="approval.withdrawn").count() == 1


def test_no_effect_begins_inside_its_undo_window(approved, bare):
    Effect.objects.update(not_before=Now() + timedelta(minutes=1))
    assert effects.carry_out(approved.pk, worker="worker-1") is False
    approved.refresh_from_db()
    assert (approved.state, len(first_parents(bare))) == ("planned", 1)


def _try_again(effect: Effect, by) -> None:
    question = effect.approval.task.escalations.get(state="open")
    escalations.resolve(question, choice="retry_with_note", by=by)


def test_a_fault_in_our_own_code_asks_a_person_and_does_not_loop(approved, bare, monkeypatch):
    def broken(self, base, head):
        raise KeyError("hunks")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "diff", broken)
        effects.carry_out_due("worker-1")
        assert effects.carry_out_due("worker-1") == 0
    approved.refresh_from_db()
    assert (approved.state, len(first_parents(bare))) == ("failed", 1)
    assert approved.approval.task.escalations.get().detail.startswith("A fault in Countersign")
