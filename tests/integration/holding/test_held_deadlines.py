"""While a person holds things up, no clock runs; afterwards it goes on with what was left."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db.models import F
from django.db.models.functions import Now

from agents import holds, meters
from agents.finishing import settle
from agents.models import Attempt, Hold, Step, Task
from agents.runtime.contract import Interrupted, TryAgain
from agents.runtime.preparing import _deadline, _facts_together
from approvals import deadlines, effects, expiring, policies, sealing, undoing
from approvals.exceptions import ApprovalExpired
from approvals.models import Approval, Effect
from tests import runtime_fixtures
from tests.approval_fixtures import approve, end_time, make_report, past_triggers
from tests.reviewing import decide
from tests.runtime_fixtures import claim_one, plan_step, planned

agents = runtime_fixtures.agents
task = runtime_fixtures.task
HOUR = timedelta(hours=1)


def was_held(begin: int, end: int, by, **aim) -> None:
    """Write a hold that stood from so many to so many seconds ago."""
    now, second = Now(), timedelta(seconds=1)
    names = {"placed_by": by, "lifted_by": by}
    hold = Hold.objects.create(
        scope=next(iter(aim), "everything"), lifted_at=now - end * second, **names, **aim
    )
    Hold.objects.filter(pk=hold.pk).update(placed_at=now - begin * second)


def began(task: Task, seconds: int) -> None:
    """Let the task have begun to work so many seconds ago."""
    past_triggers(
        "UPDATE agents_event SET at = now() - %s * interval '1 second' WHERE task_id = %s",
        seconds,
        task.pk,
    )
    past = Now() - timedelta(seconds=seconds)
    Task.objects.update(created_at=past)
    Step.objects.update(created_at=past)


def about(value: float) -> object:
    return pytest.approx(value, abs=15)  # seconds that pass while the test runs


def test_clock_of_a_task_stands_while_it_is_held(task, project, lead, admin):
    claim_one()
    began(task, 1_000)
    assert meters.used(task).seconds == about(1_000)
    was_held(900, 800, lead, task=task)
    was_held(850, 700, admin, project=project)  # overlaps: counts once
    was_held(300, 200, admin)
    assert meters.used(task).seconds == about(700)
    hold = holds.place(by=lead, task=task)
    Hold.objects.filter(pk=hold.pk).update(placed_at=Now() - timedelta(seconds=150))
    assert meters.used(task).seconds == about(550)


def test_hold_of_an_agent_stops_the_clock_of_tasks_with_an_open_step_of_it(task, agents, admin):
    planned(task, plan_step("a", "coder"))
    began(task, 1_000)
    was_held(300, 200, admin, agent=agents["tester"])
    assert meters.used(task).seconds == about(1_000)
    was_held(600, 400, admin, agent=agents["coder"])
    assert meters.used(task).seconds == about(800)
    past_triggers("UPDATE agents_step SET state = 'done', finished_at = now() - interval '700 s'")
    assert meters.used(task).seconds == about(1_000)


def test_clock_stands_while_people_are_waited_for(task):
    claim_one()
    at = {"queued": 2_000, "planning": 1_000, "needs_human": 900, "working": 500, "review": 300}
    for seq, (state, ago) in enumerate(at.items(), 100):
        event = task.record("task.state", {"from": "x", "state": state})
        past_triggers(
            "UPDATE agents_event SET at = now() - %s * interval '1 s', seq = %s WHERE id = %s",
            ago,
            seq,
            event.pk,
        )
    past_triggers("UPDATE agents_event SET data = '{}' WHERE seq < 100")
    assert meters.used(task).seconds == about(300)


def test_given_back_attempt_goes_on_with_what_was_left_of_its_clock(task, lead):
    most = claim_one().step.version.max_seconds
    _ended(Interrupted(), after=250)
    assert _seconds() == about(most - 250)
    _ended(Interrupted(), after=100)
    assert _seconds() == about(most - 350)
    _ended(TryAgain(reason="503"), after=120)  # trouble outside is not the agent's time
    assert _seconds() == about(most - 350)


def test_attempt_after_a_persons_answer_has_a_fresh_clock(task):
    first = claim_one()
    Attempt.objects.update(started_at=Now() - timedelta(seconds=400))
    settle(first.attempt, Interrupted())
    Attempt.objects.update(state="escalated", error="Out of time")
    assert _seconds() == about(first.step.version.max_seconds)


def _ended(outcome, *, after: int) -> None:
    running = Attempt.objects.get(state="running")
    Attempt.objects.filter(pk=running.pk).update(started_at=Now() - timedelta(seconds=after))
    assert settle(running, outcome)
    Step.objects.update(available_at=Now())


def _seconds() -> float:
    return _deadline(_facts_together([claim_one()])[0]) - time.monotonic()


@pytest.fixture
def approval(project, requester, lead, second_lead) -> Approval:
    return sealing.seal(make_report(project, requester))


def asked(approval: Approval, seconds: int) -> None:
    """Let the approval have been asked for so many seconds ago."""
    past_triggers(
        "UPDATE approvals_approval SET requested_at = now() - %s * interval '1 second'", seconds
    )


def test_approval_does_not_expire_under_a_hold_and_later_by_the_held_time(approval, lead, admin):
    asked(approval, 1_000)
    end_time(approval, in_seconds=-100)
    was_held(500, 300, lead, task=approval.task)
    assert expiring.expire_due() == 0
    found = deadlines.with_deadline(Approval.objects.annotate(now=Now())).get()
    left = found.until - found.now
    assert left.total_seconds() == about(100)
    assert approve(approval, lead).state == "planned"


def test_approval_whose_held_time_is_over_too_expires(approval, lead):
    asked(approval, 1_000)
    end_time(approval, in_seconds=-300)
    was_held(500, 300, lead, task=approval.task)
    with pytest.raises(ApprovalExpired):
        decide(
            approval.pk, by=lead, verdict="approve", digest=approval.digest, nonce=approval.nonce
        )
    assert expiring.expire_due() == 1


def test_effect_is_not_begun_under_a_hold_and_its_undo_window_stays_open(approval, lead, admin):
    effect = approve(approval, lead)
    hold = holds.place(by=admin)
    Effect.objects.update(not_before=F("not_before") - HOUR)
    past_triggers("UPDATE approvals_approval SET decided_at = decided_at - interval '1 hour'")
    Hold.objects.update(placed_at=Now() - HOUR)
    assert effects.carry_out_due("test") == 0
    assert not effects.carry_out(effect.pk, worker="test")
    approval.refresh_from_db()
    assert undoing.may_undo(approval)
    holds.lift(hold, by=admin)
    assert undoing.may_undo(approval)  # the window goes on with what was left of it
    assert effects.carry_out_due("test") == 0
    Effect.objects.update(not_before=F("not_before") - HOUR)
    assert not undoing.may_undo(approval)
    assert effects.carry_out_due("test") == 1
    effect.refresh_from_db()
    assert effect.state == "done"


def test_hold_of_an_agent_stops_no_signature_and_no_effect(approval, project, lead, admin):
    policies.change(project, by=lead, undo_seconds=0)
    holds.place(by=admin, agent=agents_of(approval))
    effect = approve(approval, lead)
    Effect.objects.update(not_before=Now())
    assert effects.carry_out_due("test") == 1
    effect.refresh_from_db()
    assert effect.state == "done"


def agents_of(approval: Approval):
    return approval.task.steps.first().agent
