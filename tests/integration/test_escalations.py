"""A tripped limit waits for one person's answer, and goes on exactly as that person chose."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from agents import escalations
from agents.finishing import settle
from agents.models import Attempt, Escalation, Event, Step, Task
from agents.models.tasks import Choice, Rule
from agents.runtime import lease
from agents.runtime.claims import claim
from agents.runtime.contract import Finished, NeedsHuman
from projects.exceptions import InvalidInput, NotAllowed, TransitionRefused
from projects.models import AuditEntry, Membership, Role
from tests import runtime_fixtures
from tests.runtime_fixtures import (
    claim_one,
    expire_leases,
    make_plan,
    plan_step,
    planned,
    result,
    state_of,
    states,
)

agents = runtime_fixtures.agents
task = runtime_fixtures.task


def trip(rule: str = Rule.MAX_TURNS, turns: int = 2, **facts: object) -> Escalation:
    """Let the attempt of the next ready step trip a limit after some turns."""
    attempt = claim_one().attempt
    Attempt.objects.filter(pk=attempt.pk).update(checkpoint={"turn": turns}, turns=turns)
    assert settle(attempt, NeedsHuman(rule=Rule(rule), detail="It tripped.", **facts))
    return Escalation.objects.get(state="open")


def test_trip_ends_the_attempt_and_makes_the_task_wait_for_a_person(task):
    raised = trip(evidence={"nul": "\0", "object": object})
    assert (state_of(task), states(task)) == ("needs_human", {"route": "waiting_human"})
    assert Attempt.objects.get().state == "escalated"
    assert Task.objects.get().state_before_human == "planning"
    assert raised.options == ["raise_limit_once", "retry_with_note", "stop"]
    assert raised.evidence["nul"] == "\ufffd"
    event = Event.objects.get(kind="escalation.raised")
    assert (event.data["rule"], event.step_id) == ("max_turns", raised.step_id)
    assert claim("worker-a", limit=5) == []


def test_rule_without_a_limit_cannot_be_raised(task, requester):
    raised = trip(Rule.INVALID_OUTPUT)
    assert raised.options == ["retry_with_note", "stop"]
    with pytest.raises(InvalidInput) as refusal:
        escalations.resolve(raised, choice="raise_limit_once", by=requester)
    assert refusal.value.field == "choice"


@pytest.mark.parametrize(
    ("rule", "extra", "given"),
    [
        (Rule.MAX_TURNS, "extra_turns", "max_turns"),
        (Rule.WALL_CLOCK, "extra_seconds", "max_seconds"),
        (Rule.BUDGET, "extra_tokens", "max_tokens"),
    ],
)
def test_raised_limit_gives_the_step_as_much_again_and_resumes(task, requester, rule, extra, given):
    raised = trip(rule)
    escalations.resolve(raised, choice=Choice.RAISE_LIMIT_ONCE, by=requester)
    step = Step.objects.select_related("version").get()
    assert getattr(step, extra) == getattr(step.version, given)
    assert state_of(task) == "planning"
    again = claim_one().attempt
    assert (again.resumes_id is not None, again.turns) == (True, 2)


@pytest.mark.parametrize(
    ("spent", "name", "now"),
    [
        ({"input_tokens": 650_000}, "tokens", 1_250_000),
        ({"usd": Decimal("6.5")}, "usd", 11.5),
    ],
)
def test_raised_task_limit_is_doubled_and_more_than_what_is_used(task, lead, spent, name, now):
    Task.objects.update(**spent)
    assert claim("worker-a", limit=1) == []
    raised = Escalation.objects.get()
    assert raised.rule == "budget"
    escalations.resolve(raised, choice=Choice.RAISE_LIMIT_ONCE, by=lead)
    assert Task.objects.get().limits[name] == now
    assert claim_one().step.kind == "route"


def test_task_clock_trips_only_on_time_at_work(task):
    claimed = claim_one()
    Event.objects.filter(data__state="planning")  # append-only: the limit moves, not the past
    Task.objects.update(limits={**task.limits, "seconds": 1}, created_at=Now() - timedelta(days=2))
    settle(claimed.attempt, Finished(make_plan(plan_step("a"))))
    assert claim_one().step.key == "a"


def test_retry_with_a_note_begins_anew_when_the_turns_are_used(task, requester):
    raised = trip(turns=5)
    escalations.resolve(raised, choice=Choice.RETRY_WITH_NOTE, note=" Only the bug. ", by=requester)
    again = claim_one().attempt
    assert (again.resumes, again.turns, again.checkpoint) == (None, 0, None)
    said = Event.objects.get(kind="message")
    assert said.data == {"from": "person", "author": "Mira Ode", "text": "Only the bug."}
    assert said.step_id == raised.step_id
    assert AuditEntry.objects.filter(action="escalation.resolved").exists()


@pytest.mark.parametrize(
    ("rule", "resumes"),
    [
        (Rule.MODEL_UNREACHABLE, True),
        (Rule.MODEL_OVERLOADED, True),
        (Rule.UNKNOWN_TOOL_CALL, True),
        (Rule.INVALID_OUTPUT, False),
        (Rule.INVALID_PLAN, False),
        (Rule.FAULT, False),
    ],
)
def test_retry_resumes_only_a_sound_conversation(task, requester, rule, resumes):
    Task.objects.update(model="openai:stub")
    escalations.resolve(trip(rule), choice=Choice.RETRY_WITH_NOTE, by=requester)
    assert (claim_one().attempt.resumes is not None) is resumes


def test_stop_ends_the_task(task, requester):
    escalations.resolve(trip(), choice=Choice.STOP, note="Not worth it.", by=requester)
    task.refresh_from_db()
    assert (task.state, task.reason) == ("cancelled", "Not worth it.")
    assert states(task) == {"route": "cancelled"}


def test_second_answer_is_refused(task, requester, lead):
    raised = trip()
    late = Escalation.objects.get()
    escalations.resolve(raised, choice=Choice.RETRY_WITH_NOTE, by=requester)
    with pytest.raises(TransitionRefused):
        escalations.resolve(late, choice=Choice.STOP, by=lead)
    assert state_of(task) == "planning"


def test_stranger_cannot_answer(task, stranger):
    with pytest.raises(NotAllowed):
        escalations.resolve(trip(), choice=Choice.STOP, by=stranger)


def test_another_requester_of_the_project_cannot_answer(task, project, stranger):
    Membership.objects.create(user=stranger, project=project, role=Role.REQUESTER)
    with pytest.raises(NotAllowed, match="tech lead"):
        escalations.resolve(trip(), choice=Choice.RAISE_LIMIT_ONCE, by=stranger)


@pytest.mark.parametrize("note", ["x" * 4_001, "\0", "\ud800"])
def test_bad_note_is_refused(task, requester, note):
    raised = trip()
    with pytest.raises(InvalidInput):
        escalations.resolve(raised, choice=Choice.RETRY_WITH_NOTE, note=note, by=requester)
    assert Escalation.objects.get().state == "open"


def test_task_waits_until_the_last_question_is_answered(task, requester):
    planned(task, plan_step("a"), plan_step("b", "tester"))
    first, second = claim("worker-a", limit=2)
    for one in (first, second):
        settle(one.attempt, NeedsHuman(rule=Rule.MAX_TURNS, detail="It tripped."))
    one, other = Escalation.objects.all()
    escalations.resolve(one, choice=Choice.RETRY_WITH_NOTE, by=requester)
    assert state_of(task) == "needs_human"
    escalations.resolve(other, choice=Choice.RETRY_WITH_NOTE, by=requester)
    assert state_of(task) == "working"
    assert len(claim("worker-a", limit=5)) == 2


def test_other_branch_finishes_while_a_person_is_asked(task, requester):
    planned(task, plan_step("a"), plan_step("b", "tester"))
    first, second = claim("worker-a", limit=2)
    settle(first.attempt, NeedsHuman(rule=Rule.MAX_TURNS, detail="It tripped."))
    assert settle(second.attempt, Finished(result()))
    assert state_of(task) == "needs_human"
    assert Step.objects.get(key="assemble").waits == 1


def test_blocked_rehearsal_is_planned_anew_when_a_model_is_configured(task, requester, settings):
    planned(task, plan_step("look"))
    settle(claim_one().attempt, Finished(result("blocked", "No language model is configured.")))
    settings.COUNTERSIGN_MODEL = "openai:gpt"
    escalations.resolve(Escalation.objects.get(), choice=Choice.RETRY_WITH_NOTE, by=requester)
    task.refresh_from_db()
    assert (task.model, task.state, task.round) == ("openai:gpt", "queued", 2)
    assert task.limits["rounds"] == 4
    assert set(task.steps.filter(round=1).values_list("state", flat=True)) == {"done", "cancelled"}
    planned(task, plan_step("look"))
    assert state_of(task) == "working"


def test_blocked_rehearsal_without_a_model_is_tried_again(task, requester):
    planned(task, plan_step("look"))
    settle(claim_one().attempt, Finished(result("blocked", "No language model is configured.")))
    escalations.resolve(Escalation.objects.get(), choice=Choice.RETRY_WITH_NOTE, by=requester)
    again = claim_one()
    assert (again.step.key, again.attempt.resumes) == ("look", None)


def test_blocked_agent_goes_on_with_its_conversation_after_a_word(task, requester):
    Task.objects.update(model="openai:stub")
    planned(task, plan_step("a"))
    attempt = claim_one().attempt
    Attempt.objects.filter(pk=attempt.pk).update(checkpoint={"turn": 1}, turns=1)
    settle(attempt, Finished(result("blocked", "Which rate?")))
    escalations.resolve(
        Escalation.objects.get(), choice=Choice.RETRY_WITH_NOTE, note="19 %", by=requester
    )
    assert claim_one().attempt.resumes == attempt


def test_database_refuses_two_open_questions_for_one_step(task):
    raised = trip()
    with pytest.raises(IntegrityError), transaction.atomic():
        Escalation.objects.create(
            task=task, step=raised.step, rule=Rule.FAULT, detail="x", options=["stop"]
        )
    with pytest.raises(IntegrityError), transaction.atomic():
        Escalation.objects.update(state="resolved")  # without a choice


@pytest.mark.django_db(transaction=True)
def test_of_many_answers_at_once_one_counts(task, requester):
    trip()
    start, won = threading.Barrier(6), []

    def answer() -> None:
        mine = Escalation.objects.select_related("task__project").get()
        start.wait()
        try:
            escalations.resolve(mine, choice=Choice.RETRY_WITH_NOTE, by=requester)
            won.append(True)
        except TransitionRefused:
            won.append(False)
        connection.close()

    threads = [threading.Thread(target=answer) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(won) == [False] * 5 + [True]
    assert Event.objects.filter(kind="escalation.resolved").count() == 1


def test_lost_worker_after_an_answer_resumes_what_the_answer_began(task, requester):
    escalations.resolve(trip(), choice=Choice.RAISE_LIMIT_ONCE, by=requester)
    second = claim_one().attempt
    expire_leases()
    lease.sweep()
    assert claim_one().attempt.resumes == second
