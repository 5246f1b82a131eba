"""Stop means stop: nothing is claimed, written or opened after it."""

from __future__ import annotations

import threading

import pytest
from django.db import DatabaseError, connection, transaction

from agents import notes, stopping
from agents.finishing import settle
from agents.intake import submit
from agents.models import Attempt, Escalation, Event, Step, Task
from agents.models.tasks import Rule
from agents.runtime.claims import claim
from agents.runtime.contract import Finished, NeedsHuman
from projects.exceptions import InvalidInput, NotAllowed, TransitionRefused
from projects.models import AuditEntry
from tests import runtime_fixtures
from tests.runtime_fixtures import (
    claim_one,
    make_plan,
    plan_step,
    planned,
    result,
    state_of,
    states,
)
from tests.waiting_locks import until_somebody_waits

agents = runtime_fixtures.agents
task = runtime_fixtures.task


def test_stop_cancels_every_open_step_and_its_attempt(task, lead):
    planned(task, plan_step("a"), plan_step("b", "tester", "a"))
    running = claim_one().attempt
    stopping.stop(Task.objects.get(), by=lead, reason=" Changed our mind. ")
    assert states(task) == {
        "route": "done",
        "a": "cancelled",
        "b": "cancelled",
        "assemble": "cancelled",
    }
    assert Attempt.objects.get(pk=running.pk).state == "cancelled"
    task.refresh_from_db()
    assert (task.state, task.reason) == ("cancelled", "Changed our mind.")
    assert task.finished_at is not None
    event = Event.objects.get(kind="task.finished")
    assert event.data == {
        "from": "working",
        "state": "cancelled",
        "reason": "Changed our mind.",
        "by": "Dana Kim",
    }
    assert AuditEntry.objects.filter(action="task.stopped", actor=lead).exists()


def test_attempt_of_a_stopped_task_writes_nothing(task, lead):
    planned(task, plan_step("a"))
    running = claim_one().attempt
    stopping.stop(Task.objects.get(), by=lead)
    before = Event.objects.count()
    assert settle(running, Finished(result())) is False
    assert Event.objects.count() == before
    assert claim("worker-a", limit=9) == []


def test_stop_answers_open_questions(task, lead):
    settle(claim_one().attempt, NeedsHuman(rule=Rule.FAULT, detail="x"))
    stopping.stop(Task.objects.get(), by=lead, reason="No.")
    raised = Escalation.objects.get()
    assert (raised.state, raised.choice, raised.resolved_by) == ("resolved", "stop", lead)


def test_second_stop_is_refused(task, lead):
    stale = Task.objects.get()
    stopping.stop(Task.objects.get(), by=lead)
    with pytest.raises(TransitionRefused):
        stopping.stop(stale, by=lead)
    assert Event.objects.filter(kind="task.finished").count() == 1


def test_stranger_cannot_stop_or_note(task, stranger):
    with pytest.raises(NotAllowed):
        stopping.stop(task, by=stranger)
    with pytest.raises(NotAllowed):
        notes.add_note(task, text="x", by=stranger)


def test_platform_can_stop_without_a_person(task):
    stopping.stop(task, by=None, reason="The project was archived.")
    assert Event.objects.get(kind="task.finished").data["by"] == "Countersign"


@pytest.mark.parametrize("text", ["", " \n", "x" * 4_001, "a\0b", "\ud800", None, 7])
def test_bad_note_is_refused_by_field(task, requester, text):
    with pytest.raises(InvalidInput) as refusal:
        notes.add_note(task, text=text, by=requester)
    assert refusal.value.field == "text"


def test_note_to_a_finished_task_is_refused(task, requester):
    stopping.stop(Task.objects.get(), by=requester)
    with pytest.raises(TransitionRefused, match="is over"):
        notes.add_note(task, text="Too late", by=requester)


@pytest.mark.django_db(transaction=True)
def test_stop_against_claims_and_finishes_never_deadlocks_or_leaves_a_step(task, lead, project):
    """Stop, claim and finish meet on the same rows: the lock order is one for all."""
    for _ in range(8):
        made = submit(project=project, requester=lead, request="x").task
        planned(made, *(plan_step(f"s{n}") for n in range(6)))
        running = claim("worker-a", limit=3)
        start, faults = threading.Barrier(6), []

        def run(act, start=start, faults=faults):
            start.wait()
            try:
                act()
            except DatabaseError as error:
                faults.append(error)
            connection.close()

        acts = [lambda one=one: settle(one.attempt, Finished(result())) for one in running]
        acts += [lambda: claim("worker-b", limit=2), lambda: claim("worker-c", limit=2)]
        acts.append(lambda made=made: stopping.stop(made, by=lead))
        threads = [threading.Thread(target=run, args=(act,)) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert faults == []
        assert state_of(made) == "cancelled"
        open_ = Step.objects.filter(task=made).exclude(state__in=["done", "cancelled"])
        assert not open_.exists()
        assert not Attempt.objects.filter(step__task=made, state="running").exists()
        seqs = list(Event.objects.filter(task=made).order_by("seq").values_list("seq", flat=True))
        assert seqs == list(range(1, len(seqs) + 1))


@pytest.mark.django_db(transaction=True)
def test_stop_during_planning_also_cancels_the_steps_just_planned(task, lead):
    routing = claim_one().attempt
    stopper = threading.Thread(target=_stop_and_close, args=(task.pk, lead))
    with transaction.atomic():
        assert settle(routing, Finished(make_plan(plan_step("a"))))
        stopper.start()
        until_somebody_waits()
    stopper.join(10)
    assert state_of(task) == "cancelled"
    assert states(task) == {"route": "done", "a": "cancelled", "assemble": "cancelled"}


def _stop_and_close(task_id, by) -> None:
    try:
        stopping.stop(Task.objects.get(pk=task_id), by=by)
    finally:
        connection.close()
