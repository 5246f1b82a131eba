"""One agent's question to another: who waits for whom, and what the asker is told."""

from __future__ import annotations

import json

import pytest
from django.db import IntegrityError, transaction

from agents import delegating, escalations, stopping
from agents.finishing import settle
from agents.messages import Answer
from agents.models import Agent, Attempt, Delegation, Escalation, Event, Step, ToolCall
from agents.models.tasks import Choice, Rule
from agents.runtime import lease
from agents.runtime.claims import claim
from agents.runtime.contract import Finished, NeedsHuman
from tests import runtime_fixtures
from tests.delegation_fixtures import GOAL, answered, asked, claim_step, put
from tests.runtime_fixtures import expire_leases, plan_step, planned, result, state_of, states

agents = runtime_fixtures.agents
task = runtime_fixtures.task


@pytest.fixture
def fix(task) -> Attempt:
    planned(task, plan_step("fix"))
    attempt = claim_step("fix").attempt
    Attempt.objects.filter(pk=attempt.pk).update(checkpoint={"turn": 1}, turns=1)
    return attempt


def test_question_becomes_a_step_and_its_asker_waits_without_a_lease(task, fix):
    made = asked(fix, commit="c" * 40, tree="d" * 40)
    asker, answerer = made.asker, made.answerer
    assert (asker.state, asker.waits, asker.lease_owner) == ("waiting", 1, "")
    assert (answerer.kind, answerer.state, answerer.depth) == ("answer", "ready", 1)
    assert (answerer.asked_by, answerer.agent.slug) == (asker, "tester")
    assert (answerer.base_commit, made.tree) == ("c" * 40, "d" * 40)
    assert Attempt.objects.get(pk=fix.pk).state == "asking"
    event = Event.objects.get(kind="delegation.asked")
    assert (event.step_id, event.data["from"], event.data["state"]) == (
        asker.pk,
        "leased",
        "waiting",
    )
    assert (event.data["agent"], event.data["goal"]) == ("tester", GOAL)
    assert [one.step.key for one in claim("worker-a", limit=50)] == ["asked-1"]


def test_answer_is_the_result_of_the_call_and_the_asker_goes_on(task, fix):
    made = asked(fix)
    again = answered(made, text="Half up, per line.")
    call = ToolCall.objects.get(attempt=fix)
    told = json.loads(call.result)
    assert (call.state, told["status"], told["answer"]) == (
        "done",
        "answered",
        "Half up, per line.",
    )
    assert (told["agent"], told["questions_left"]) == ("tester", 7)
    assert (again.resumes_id, again.checkpoint, again.turns) == (fix.pk, {"turn": 1}, 1)
    made.refresh_from_db()
    assert (made.state, made.answer["answer"]) == ("answered", "Half up, per line.")
    kinds = list(Event.objects.filter(step=made.asker).values_list("kind", flat=True))
    assert kinds[-4:] == ["delegation.answered", "tool.finished", "step.state", "step.started"]
    assert settle(again, Finished(result()))
    assert states(task)["assemble"] == "ready"


def test_agent_that_cannot_say_is_an_answer_too(fix):
    made = asked(fix)
    answered(made, status="cannot", text="No file shows it.")
    made.refresh_from_db()
    assert made.state == "refused"
    assert json.loads(ToolCall.objects.get(attempt=fix).result)["status"] == "cannot"


def test_stale_attempt_asks_nothing(fix):
    expire_leases()
    lease.sweep()
    assert not put(fix)
    assert not Delegation.objects.exists()


def test_answer_that_arrives_twice_is_written_once(task, fix):
    made = asked(fix)
    attempt = claim_step("asked-1").attempt
    twice = [settle(attempt, Finished(Answer(status="answered", answer=text))) for text in "ab"]
    assert twice == [True, False]
    made.refresh_from_db()
    assert made.answer["answer"] == "a"
    assert Event.objects.filter(kind="delegation.answered").count() == 1


def test_worker_lost_while_answering_is_replaced_and_nobody_asks_twice(task, fix):
    made = asked(fix)
    claim_step("asked-1")
    expire_leases()
    lease.sweep()
    answered(made)
    assert Delegation.objects.count() == 1


def test_agent_switched_off_meanwhile_gives_the_question_back(task, fix):
    Agent.objects.filter(slug="tester").update(enabled=False)
    assert put(fix)
    assert not Delegation.objects.exists()
    assert states(task)["fix"] == "ready"
    assert "ask tech-writer" in delegating.read(
        Step.objects.get(key="fix"), {"agent": "tester", "goal": "g", "question": "q"}
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"agent": "tester", "goal": "g"}, "question: Field required"),
        ({"agent": "coder", "goal": "g", "question": "q"}, "cannot ask 'coder'"),
        ({"agent": "router", "goal": "g", "question": "q"}, "ask tech-writer, tester"),
        ({"agent": "tester", "goal": "x" * 301, "question": "q"}, "goal: String should have"),
    ],
)
def test_question_that_cannot_be_put_says_what_is_wrong(task, fix, arguments, says):
    assert says in delegating.read(Step.objects.get(key="fix"), arguments)


def test_depth_two_answers_and_depth_three_goes_to_a_person(task, fix):
    one = asked(fix, agent="tester", goal="Know the rounding")
    two = asked(claim_step("asked-1").attempt, agent="tech-writer", goal="Read the handbook")
    assert [one.depth, two.depth] == [1, 2]
    three = claim_step("asked-2").attempt
    assert put(three, agent="coder", goal="Ask for invoices")
    raised = Escalation.objects.get()
    assert (raised.rule, raised.step.key) == ("delegation_limit", "asked-2")
    assert "raise_limit_once" not in raised.options
    assert ToolCall.objects.get(attempt=three).state == "refused"
    assert Delegation.objects.count() == 2
    with pytest.raises(IntegrityError), transaction.atomic():
        Delegation.objects.filter(pk=two.pk).update(depth=3)


def test_eighth_question_is_the_last_until_a_person_raises_the_limit(task, fix, requester):
    attempt, topics = fix, [f"{letter}lpha" for letter in "abcdefghijk"]
    for topic in topics[:7]:
        attempt = answered(asked(attempt, goal=topic))
    eighth = asked(attempt, goal=topics[7])
    attempt = answered(eighth)
    told = ToolCall.objects.get(pk=eighth.call_id).result
    assert json.loads(told)["questions_left"] == 0
    assert put(attempt, goal=topics[8])
    raised = Escalation.objects.get()
    assert (raised.rule, state_of(task)) == ("delegation_limit", "needs_human")
    assert raised.evidence["last_results"]["tester"]["answer"] == "Half up."
    assert len(raised.evidence["questions"]) == 8
    escalations.resolve(raised, choice=Choice.RAISE_LIMIT_ONCE, by=requester)
    again = claim_step("fix").attempt
    assert again.resumes_id == attempt.pk
    assert asked(again, goal=topics[9]).asker.key == "fix"


def test_same_question_twice_is_ping_pong_until_a_person_decided(task, fix, requester):
    again = answered(asked(fix, tree="t1"))
    assert put(again, goal=GOAL.upper(), tree="t2")
    raised = Escalation.objects.get()
    assert (raised.rule, raised.step.key) == (Rule.PING_PONG, "fix")
    assert raised.evidence["last_results"]["tester"]["answer"] == "Half up."
    escalations.resolve(raised, choice=Choice.RETRY_WITH_NOTE, note="Ask anew.", by=requester)
    assert asked(claim_step("fix").attempt).asker.key == "fix"


@pytest.mark.parametrize(("tree", "trips"), [("t1", True), ("t2", False)])
def test_question_thrown_back_is_ping_pong_unless_files_changed(task, fix, tree, trips):
    asked(fix, tree="t1")
    back = claim_step("asked-1").attempt
    assert put(back, agent="coder", goal="Know the rounding of refunds", tree=tree)
    assert Escalation.objects.filter(rule="ping_pong").exists() is trips
    assert Delegation.objects.count() == (1 if trips else 2)


def test_stopped_task_closes_its_open_question(task, fix, requester):
    made = asked(fix)
    stopping.stop(task, by=requester)
    made.refresh_from_db()
    assert (made.state, made.answerer.state) == ("cancelled", "cancelled")
    assert ToolCall.objects.get(attempt=fix).state == "refused"


def test_person_who_goes_on_without_the_answer_lets_the_asker_go_on(task, fix, requester):
    made = asked(fix)
    attempt = claim_step("asked-1").attempt
    settle(attempt, NeedsHuman(rule=Rule.MODEL_REFUSED, detail="It refuses."))
    raised = Escalation.objects.get()
    assert "go_on_without" in raised.options
    escalations.resolve(raised, choice=Choice.GO_ON_WITHOUT, note="Not needed.", by=requester)
    made.refresh_from_db()
    assert (made.state, made.answerer.left_out) == ("refused", True)
    again = claim_step("fix").attempt
    assert again.resumes_id == fix.pk
    assert "without this answer" in ToolCall.objects.get(attempt=fix).result


def test_one_step_has_one_open_question(fix):
    made = asked(fix)
    made.pk, made.call_id = None, made.call_id
    with pytest.raises(IntegrityError), transaction.atomic():
        made.save(force_insert=True)
