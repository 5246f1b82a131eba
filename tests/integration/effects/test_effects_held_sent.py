"""What was sent and may have landed: under a hold it is looked for, and neither undone nor stopped."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F
from django.db.models.functions import Now

from agents import escalations, holds
from agents.lifecycle import TaskState
from agents.models import Escalation, Task
from agents.workspace.git import Store
from approvals import effects, expiring, sealing, stopping, undoing, verifying
from approvals.exceptions import UndoRefused
from approvals.models import Effect
from projects.exceptions import TransitionRefused
from tests.approval_fixtures import approve, first_parents, git, make_report
from tests.integration.effects.test_effects_held import kill, place, state

pytestmark = pytest.mark.django_db


class _Killed(BaseException):
    """The process ended here."""


def _die(*args, **kwargs):
    raise _Killed


@pytest.fixture
def tried_again(approved, bare, lead, monkeypatch):
    """It landed and its worker was killed, nobody could look, and a person said "try again"."""
    kill(monkeypatch, "finish", after=False)
    away = bare.with_name("away.git")
    bare.rename(away)
    effects.carry_out_due("worker-2")
    assert state(approved) == ("unknown", True)
    away.rename(bare)
    escalations.resolve(Escalation.objects.get(), choice="retry_with_note", by=lead)
    place(approved, lead)
    effects.carry_out_due("worker-3")
    assert (state(approved), len(first_parents(bare))) == (("planned", True), 2)
    return approved


def test_what_is_tried_again_is_not_stopped_before_somebody_looked(tried_again, bare, lead):
    task = tried_again.approval.task
    with pytest.raises(TransitionRefused, match=r"Nobody knows yet whether .* when the hold is"):
        stopping.stop_task(task, by=lead)
    task.refresh_from_db()
    assert (state(tried_again), task.state) == (("planned", True), "executing")
    holds.lift(task.holds.get(), by=lead)
    effects.carry_out_due("worker-4")
    assert (state(tried_again), len(first_parents(bare))) == (("done", True), 2)


def test_what_is_tried_again_is_not_said_to_have_nothing_begun(tried_again, lead):
    with pytest.raises(UndoRefused, match="the effect has begun"):
        undoing.undo(tried_again.approval, by=lead)


def test_what_is_tried_again_stands_although_its_task_is_over(tried_again):
    Task.objects.update(state=TaskState.CANCELLED, finished_at=Now())
    assert expiring.withdraw_orphans() == 0
    tried_again.approval.refresh_from_db()
    assert (state(tried_again), tried_again.approval.state) == (("planned", True), "approved")


def test_what_was_refused_and_is_tried_again_did_not_land_and_is_stopped(approved, bare, lead):
    git(bare, "config", "receive.maxInputSize", "1")
    effects.carry_out_due("worker-1")
    assert state(approved) == ("failed", True)
    place(approved, lead)
    escalations.resolve(Escalation.objects.get(), choice="retry_with_note", by=lead)
    effects.carry_out_due("worker-2")
    assert state(approved) == ("planned", False)
    stopping.stop_task(approved.approval.task, by=lead)
    assert (state(approved), len(first_parents(bare))) == (("withdrawn", False), 1)


@pytest.fixture
def sent(approved, bare, lead, monkeypatch):
    """Its worker was killed just before the push, and now it is held."""
    approved.on_its_way = []

    def die(self, commit, *, expected):
        approved.on_its_way.append(commit)
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(Store, "push_main", die)
        with pytest.raises(_Killed):
            effects.carry_out_due("worker-1")
    place(approved, lead)
    assert (state(approved), len(first_parents(bare))) == (("doing", True), 1)
    return approved


@pytest.fixture
def fetched(monkeypatch):
    """Counts how often a repository is fetched."""
    fetch, seen = Store.fetch, []
    monkeypatch.setattr(Store, "fetch", lambda self: (seen.append(self), fetch(self))[1])
    return seen


def _a_minute_later() -> None:
    Effect.objects.update(looked_at=F("looked_at") - timedelta(seconds=60))


def test_main_is_looked_at_once_a_minute_and_nothing_is_proven(sent, fetched, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(verifying, "require_signed", _die)
        for worker in range(10):
            effects.carry_out_due(f"worker-{worker}")
        assert len(fetched) == 1
        _a_minute_later()
        for worker in range(10):
            effects.carry_out_due(f"worker-{worker}")
    assert (len(fetched), state(sent)) == (2, ("doing", True))


def test_what_lands_after_a_look_is_found_by_the_next(sent, bare):
    effects.carry_out_due("worker-2")
    (commit,) = sent.on_its_way
    Store.of(sent.approval.project).push_main(commit, expected=sent.arguments["base"])
    effects.carry_out_due("worker-2")
    assert (state(sent), len(first_parents(bare))) == (("doing", True), 2)
    _a_minute_later()
    effects.carry_out_due("worker-2")
    assert state(sent) == ("done", True)


def test_it_goes_on_at_once_when_the_hold_is_lifted(sent, bare, lead):
    effects.carry_out_due("worker-2")
    holds.lift(sent.approval.task.holds.get(), by=lead)
    effects.carry_out_due("worker-2")
    assert (state(sent), len(first_parents(bare))) == (("done", True), 2)


def test_a_push_of_later_is_looked_for_at_once(sent, lead, fetched, monkeypatch):
    effects.carry_out_due("worker-2")
    holds.lift(sent.approval.task.holds.get(), by=lead)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "push_main", _die)
        with pytest.raises(_Killed):
            effects.carry_out_due("worker-3")
    place(sent, lead)
    fetched.clear()
    effects.carry_out_due("worker-4")
    assert len(fetched) == 1


def test_it_takes_no_place_from_what_is_not_held(sent, project, requester, lead, monkeypatch):
    other = approve(sealing.seal(make_report(project, requester)), lead)
    effects.begin(effects._load(other.pk), worker="dead")
    monkeypatch.setattr(effects, "_BATCH", 1)
    effects.carry_out_due("worker-2")
    assert (state(other), state(sent)) == (("done", False), ("doing", True))
