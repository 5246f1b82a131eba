"""One branch of a round is done again; everybody else keeps their work."""

from __future__ import annotations

import threading

import pytest
from django.db import connection
from django.db.models.functions import Now

from agents import reopening, rounds
from agents.finishing import settle
from agents.models import Attempt, Escalation, Event, Step, StepDependency, Task
from agents.models.tasks import Rule
from agents.runtime import briefs
from agents.runtime.claims import claim
from agents.runtime.contract import Finished, NeedsHuman
from projects.exceptions import InvalidInput, NotAllowed, TransitionRefused
from projects.models import AuditEntry
from tests import delegation_fixtures, runtime_fixtures
from tests.runtime_fixtures import plan_step, planned, result, state_of, states

agents = runtime_fixtures.agents
task = runtime_fixtures.task


def finish(*keys: str) -> None:
    """Claim what is ready and finish the steps of these keys."""
    claim("worker-a", limit=9)
    for key in keys:
        (attempt,) = Attempt.objects.filter(step__key=key, state="running")
        assert settle(attempt, Finished(result(summary=f"Did {key}.")))


def needs_of(key: str) -> set[str]:
    edges = StepDependency.objects.filter(step__key=key)
    return set(edges.values_list("needs__key", flat=True))


def waits() -> dict[str, int]:
    return dict(Step.objects.filter(state="waiting").values_list("key", "waits"))


@pytest.fixture
def crew(task) -> Task:
    """a, then b on it, then c on that; d beside them."""
    planned(
        task,
        plan_step("a"),
        plan_step("b", "tester", "a"),
        plan_step("c", "tech-writer", "b"),
        plan_step("d", "coder"),
    )
    return task


def again(key: str, by, note: str = "Round half to even.") -> Step:
    step = Step.objects.select_related("task__project", "agent", "version").get(key=key)
    return reopening.reopen(step, note=note, by=by, address="192.0.2.7")


def test_finished_step_is_done_again_and_the_waiting_ones_wait_for_it(crew, requester):
    finish("a")
    made = again("a", requester)
    assert (made.key, made.state, made.agent.slug) == ("a~2", "ready", "coder")
    assert made.feedback[-1]["note"] == "Round half to even."
    assert made.feedback[-1]["by"] == "Mira Ode"
    # b could have begun: it is made anew, so that it begins after the second a.
    assert states(crew) == {
        "route": "done",
        "a": "done",
        "b": "cancelled",
        "c": "waiting",
        "d": "leased",
        "assemble": "waiting",
        "a~2": "ready",
        "b~2": "waiting",
    }
    assert needs_of("a~2") == {"a"}
    assert needs_of("b~2") == {"a~2"}
    assert needs_of("c") == {"b~2"}
    assert needs_of("assemble") == {"a~2", "b~2", "c", "d"}
    assert waits() == {"b~2": 1, "c": 1, "assemble": 4}
    told = briefs.need_facts(made.needs.select_related("agent").get())
    assert told["result"]["summary"] == "Did a."


def test_everything_runs_to_the_end_after_it(crew, requester):
    finish("a", "d")
    finish("b")
    again("a", requester)
    for key in ("a~2", "b~2", "c~2"):
        finish(key)
    (last,) = claim("worker-a", limit=9)
    assert last.step.key == "assemble"
    assert state_of(crew) == "assembling"


def test_finished_and_running_followers_are_done_anew(crew, requester):
    finish("a", "d")
    finish("b")
    claim("worker-a", limit=9)
    running = Attempt.objects.get(step__key="c", state="running")
    again("a", requester)
    running.refresh_from_db()
    assert running.state == "cancelled"
    assert settle(running, Finished(result())) is False
    assert states(crew)["b"] == "done"
    assert states(crew)["c"] == "cancelled"
    assert needs_of("b~2") == {"b", "a~2"}
    assert needs_of("c~2") == {"b~2"}
    assert needs_of("assemble") == {"a~2", "b~2", "c~2", "d"}
    follows = Step.objects.get(key="b~2").feedback[-1]
    assert (follows["by"], "done again" in follows["note"]) == ("Countersign", True)


def test_aggregator_that_has_begun_begins_anew(crew, requester):
    finish("a", "d")
    finish("b")
    finish("c")
    claim("worker-a", limit=9)
    running = Attempt.objects.get(step__key="assemble", state="running")
    assert state_of(crew) == "assembling"
    again("c", requester)
    assert state_of(crew) == "working"
    running.refresh_from_db()
    assert running.state == "cancelled"
    assert states(crew)["assemble"] == "cancelled"
    assert waits() == {"assemble-2": 1}
    finish("c~2")
    (last,) = claim("worker-a", limit=9)
    assert last.step.key == "assemble-2"


def test_what_merges_onto_a_moved_main_waits_for_it_too(crew, requester):
    for key in ("a", "b", "c"):
        finish(key)
    finish("d")
    Step.objects.filter(key="assemble").update(state="done", finished_at=Now())
    Task.objects.filter(pk=crew.pk).update(state="review")
    rounds.propose_again(Task.objects.get(pk=crew.pk), by=None)
    again("d", requester)
    assert states(crew)["assemble-2"] == "cancelled"
    assert states(crew)["assemble-3"] == "waiting"
    assert needs_of("assemble-3") == {"a", "b", "c", "d~2"}
    assert waits()["assemble-3"] == 1


def test_follower_a_person_is_asked_about_is_answered_with_it(crew, requester):
    finish("a", "d")
    claim("worker-a", limit=9)
    attempt = Attempt.objects.get(step__key="b", state="running")
    settle(attempt, NeedsHuman(rule=Rule.FAULT, detail="x"))
    assert state_of(crew) == "needs_human"
    again("a", requester)
    asked = Escalation.objects.get()
    assert (asked.state, asked.choice, asked.resolved_by) == (
        "resolved",
        "retry_with_note",
        requester,
    )
    assert state_of(crew) == "working"
    assert states(crew)["b~2"] == "waiting"


def test_other_questions_stay_open(crew, requester):
    finish("a")
    attempt = Attempt.objects.get(step__key="d", state="running")
    settle(attempt, NeedsHuman(rule=Rule.FAULT, detail="x"))
    again("a", requester)
    assert (state_of(crew), Escalation.objects.get().state) == ("needs_human", "open")
    assert [one.step.key for one in claim("worker-a", limit=9)] == ["a~2"]


def test_blocked_step_is_answered_by_sending_it_again(crew, requester):
    claim("worker-a", limit=9)
    attempt = Attempt.objects.get(step__key="a", state="running")
    settle(attempt, Finished(result("blocked", "Which rate?")))
    made = again("a", requester, "19 %")
    assert (made.key, made.state) == ("a", "ready")
    assert Escalation.objects.get().note == "19 %"


def test_third_time_follows_the_second(crew, requester):
    finish("a", "d")
    again("a", requester)
    finish("a~2")
    assert again("a~2", requester).key == "a~3"
    assert needs_of("a~3") == {"a", "a~2"}
    with pytest.raises(TransitionRefused, match="sent again before"):
        again("a", requester)


def test_next_round_takes_the_last_of_each_branch(crew, requester, lead):
    finish("a", "d")
    again("a", requester)
    for key in ("a~2", "b~2", "c"):
        finish(key)
    Step.objects.filter(key="assemble").update(state="done")
    Task.objects.update(state="review")
    crew.refresh_from_db()
    rounds.open_next(crew, feedback=[rounds.Feedback(agent_slug="", note="Again.")], by=lead)
    made = {step.key: step for step in Step.objects.filter(round=2)}
    assert set(made) == {"a", "b", "c", "d", "assemble"}
    assert (made["b"].waits, made["c"].waits) == (1, 1)
    assert briefs._earlier(made["a"])["summary"] == "Did a~2."


@pytest.mark.parametrize("note", ["", "  ", "x" * 4_001, "\0"])
def test_note_must_say_something(crew, requester, note):
    finish("a")
    with pytest.raises(InvalidInput) as refusal:
        again("a", requester, note)
    assert refusal.value.field == "note"


@pytest.mark.parametrize("key", ["b", "d", "route", "assemble"])
def test_step_that_is_not_finished_is_not_sent_again(crew, requester, key):
    finish("a")
    with pytest.raises(TransitionRefused):
        again(key, requester)


@pytest.mark.parametrize("state", ["review", "executing", "cancelled", "queued"])
def test_only_while_agents_are_at_it(crew, requester, state):
    finish("a")
    over = {"finished_at": crew.created_at} if state == "cancelled" else {}
    Task.objects.update(state=state, **over)
    with pytest.raises(TransitionRefused):
        again("a", requester)
    assert not reopening.reopenable(Task.objects.get(), list(Step.objects.all()))


def test_strangers_send_nothing_again(crew, stranger):
    finish("a")
    with pytest.raises(NotAllowed):
        again("a", stranger)


def test_it_is_on_record(crew, requester):
    finish("a")
    made = again("a", requester)
    entry = AuditEntry.objects.get(action="step.sent_again")
    assert (entry.address, entry.object_id) == ("192.0.2.7", str(made.pk))
    event = Event.objects.get(kind="step.added", step=made)
    assert (event.data["again"], event.data["by"]) == ("a", "Mira Ode")


@pytest.mark.django_db(transaction=True)
def test_sent_again_twice_at_once_happens_once(crew, requester):
    finish("a", "d")
    step = Step.objects.select_related("task__project", "agent", "version").get(key="a")
    gate, done = threading.Barrier(6), []

    def send() -> None:
        gate.wait()
        try:
            done.append(reopening.reopen(step, note="Again.", by=requester).key)
        except TransitionRefused:
            done.append("")
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(done) == [""] * 5 + ["a~2"]
    assert Step.objects.filter(key__startswith="a~").count() == 1


def test_who_answers_for_a_dropped_step_stops_and_who_answers_for_that_one(crew, requester):
    finish("a")
    first = delegation_fixtures.asked(delegation_fixtures.claim_step("b").attempt, agent="coder")
    answering = delegation_fixtures.claim_step(first.answerer.key).attempt
    second = delegation_fixtures.asked(answering, agent="tech-writer", goal="Know the rule.")
    again("a", requester)
    assert states(crew) | {"b": "cancelled"} == states(crew)
    for question in (first, second):
        question.refresh_from_db()
        assert question.state == "cancelled"
        assert Step.objects.get(pk=question.answerer_id).state == "cancelled"
        assert question.call.state == "refused"
