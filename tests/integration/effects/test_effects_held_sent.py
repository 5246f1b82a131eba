"""What was sent and may have landed: under a hold it is looked for, and neither undone nor stopped."""

from __future__ import annotations

import pytest
from django.db.models.functions import Now

from agents import escalations, holds
from agents.lifecycle import TaskState
from agents.models import Escalation, Task
from approvals import effects, expiring, stopping, undoing
from approvals.exceptions import UndoRefused
from projects.exceptions import TransitionRefused
from tests.approval_fixtures import first_parents
from tests.integration.effects.test_effects_held import kill, place, state

pytestmark = pytest.mark.django_db


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
    with pytest.raises(TransitionRefused, match="Nobody knows yet whether .* when the hold is"):
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
