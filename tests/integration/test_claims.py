"""A ready step is done by one worker at a time, and a lost lease loses nothing."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from agents import escalations
from agents.finishing import settle
from agents.intake import submit
from agents.models import Attempt, Escalation, Event, Step, Task
from agents.models.tasks import Choice, Rule
from agents.runtime import lease
from agents.runtime.claims import claim
from agents.runtime.contract import Finished, Interrupted, NeedsHuman, TryAgain
from tests import runtime_fixtures
from tests.runtime_fixtures import (
    claim_one,
    expire_leases,
    make_plan,
    plan_step,
    planned,
    state_of,
    states,
)

agents = runtime_fixtures.agents
task = runtime_fixtures.task


def test_claim_leases_the_step_and_moves_the_task(task):
    step, attempt = (one := claim_one()).step, one.attempt
    step.refresh_from_db()
    assert (step.state, step.attempt, step.lease_owner) == ("leased", 1, "worker-a")
    assert step.lease_until is not None
    assert (attempt.number, attempt.state, attempt.resumes) == (1, "running", None)
    task.refresh_from_db()
    assert task.state == "planning"
    assert task.started_at is not None
    kinds = list(Event.objects.filter(task=task).values_list("kind", flat=True))
    assert kinds == ["task.submitted", "task.state", "step.started"]


def test_claimed_step_is_not_claimed_again(task):
    claim_one()
    assert claim("worker-b", limit=9) == []


def test_step_that_is_not_due_is_left(task):
    Step.objects.update(available_at=Now() + timedelta(minutes=1))
    assert claim("worker-a", limit=9) == []


@pytest.mark.parametrize("state", ["needs_human", "review", "executing"])
def test_step_of_a_task_that_waits_is_left(task, state):
    type(task).objects.update(state=state)
    assert claim("worker-a", limit=9) == []


@pytest.mark.django_db(transaction=True)
def test_two_claimers_never_get_the_same_step(task):
    planned(task, *(plan_step(f"s{n}") for n in range(8)))
    start, got = threading.Barrier(4), []

    def take(owner: str) -> None:
        start.wait()
        for _ in range(4):
            got.extend(one.step.pk for one in claim(owner, limit=2))
        connection.close()

    threads = [threading.Thread(target=take, args=(f"worker-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(got) == len(set(got)) == 8
    seqs = list(Event.objects.filter(task=task).order_by("seq").values_list("seq", flat=True))
    assert seqs == list(range(1, len(seqs) + 1))


def test_renewed_lease_lasts_and_a_foreign_one_is_not_renewed(task):
    step = claim_one().step
    assert lease.renew("worker-b", [step.pk]) == {}
    assert lease.renew("worker-a", [step.pk]) == {step.pk: 1}
    assert lease.held("worker-a", [step.pk]) == {step.pk: 1}
    expire_leases()
    assert lease.held("worker-a", [step.pk]) == {}
    assert lease.renew("worker-a", [step.pk]) == {}  # too late: it is the sweeper's


def test_expired_lease_is_swept_and_the_next_attempt_resumes(task):
    first = claim_one().attempt
    Attempt.objects.update(checkpoint={"turn": 1}, turns=1, seen_seq=2)
    expire_leases()
    assert lease.sweep() == 1
    first.refresh_from_db()
    assert (first.state, states(task)) == ("lost", {"route": "ready"})
    again = claim_one("worker-b").attempt
    assert (again.number, again.resumes) == (2, first)
    assert (again.checkpoint, again.turns, again.seen_seq) == ({"turn": 1}, 1, 2)
    assert lease.sweep() == 0


def test_zombie_writes_nothing(task):
    zombie = claim_one().attempt
    expire_leases()
    lease.sweep()
    new = claim_one("worker-b").attempt
    before = Event.objects.count()
    for outcome in (
        Finished(make_plan(plan_step("a"))),
        NeedsHuman(rule=Rule.FAULT, detail="x"),
        TryAgain(reason="x"),
        Interrupted(),
    ):
        assert settle(zombie, outcome) is False
    assert Event.objects.count() == before
    assert states(task) == {"route": "leased"}
    assert settle(new, Finished(make_plan(plan_step("a"))))


def test_fifth_lost_lease_goes_to_a_person(task):
    for _ in range(escalations.TRIES):
        claim_one()
        expire_leases()
        lease.sweep()
    assert (state_of(task), states(task)) == ("needs_human", {"route": "waiting_human"})
    assert Escalation.objects.get().rule == "fault"


def test_drained_step_is_ready_at_once_and_resumes(task):
    first = claim_one().attempt
    assert settle(first, Interrupted())
    assert claim_one("worker-b").attempt.resumes == first


def test_trouble_waits_longer_each_time_and_then_asks_a_person(task):
    for _ in range(escalations.TRIES - 1):
        assert settle(claim_one().attempt, TryAgain(reason="503", rule=Rule.MODEL_OVERLOADED))
        step = Step.objects.get()
        assert (step.state, step.reason) == ("ready", "503")
        assert claim("worker-a", limit=1) == []
        Step.objects.update(available_at=Now())
    settle(claim_one().attempt, TryAgain(reason="503", rule=Rule.MODEL_OVERLOADED))
    raised = Escalation.objects.get()
    assert (raised.rule, state_of(task)) == ("model_overloaded", "needs_human")
    assert "503" in raised.detail


def test_try_again_is_due_on_the_database_clock(task):
    settle(claim_one().attempt, TryAgain(reason="429", after_seconds=30))
    ahead = Step.objects.annotate(now=Now()).get()
    assert timedelta(seconds=28) < ahead.available_at - ahead.now <= timedelta(seconds=30)


def test_task_out_of_budget_goes_to_a_person_at_the_claim(task):
    type(task).objects.update(input_tokens=600_000)
    assert claim("worker-a", limit=1) == []
    raised = Escalation.objects.get()
    assert (raised.rule, raised.step.state) == ("budget", "waiting_human")
    assert raised.step.attempts.get().state == "escalated"


def test_limit_is_warned_of_once_at_eighty_percent(task):
    type(task).objects.update(input_tokens=479_999)
    settle(claim_one().attempt, Interrupted())
    assert not Event.objects.filter(kind="limit.warned").exists()
    for _ in range(2):
        type(task).objects.update(input_tokens=480_000)
        settle(claim_one().attempt, Interrupted())
    warned = Event.objects.get(kind="limit.warned")
    assert (warned.data["name"], warned.data["used"]) == ("tokens", 480_000)
    assert warned.data["detail"] == "480,000 of 600,000 tokens used"


def test_step_that_cannot_begin_goes_to_a_person_and_holds_up_no_other(task, project, requester):
    other = submit(project=project, requester=requester, request="Another").task
    Task.objects.filter(pk=task.pk).update(limits={"no such limit": 1})
    claimed = claim("worker-a", limit=9)
    assert [one.step.task_id for one in claimed] == [other.pk]
    assert (Escalation.objects.get().rule, state_of(task)) == ("fault", "needs_human")
    assert Attempt.objects.filter(step__task=task).count() == 0


def test_step_stopped_at_its_claim_goes_on_with_what_it_has_done(task, requester):
    planned(task, plan_step("fix"))
    first = claim_one().attempt
    Attempt.objects.filter(pk=first.pk).update(turns=2, checkpoint={"messages": []}, seen_seq=7)
    assert settle(first, Interrupted())
    Task.objects.filter(pk=task.pk).update(input_tokens=10**9)
    assert claim("worker-b", limit=1) == []
    escalations.resolve(Escalation.objects.get(), choice=Choice.RAISE_LIMIT_ONCE, by=requester)
    third = claim_one("worker-c").attempt
    assert (third.number, third.turns, third.seen_seq) == (3, 2, 7)
    assert third.resumes.resumes_id == first.pk
