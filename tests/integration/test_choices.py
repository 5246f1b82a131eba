"""What a person may choose for a step that waits, and that the task goes on exactly so."""

from __future__ import annotations

import pytest
from django.db.models.functions import Now

from agents import escalations, fan_in
from agents.finishing import settle
from agents.intake import submit
from agents.lifecycle import StepState
from agents.models import Agent, Attempt, Escalation, Event, Step, Task
from agents.models.tasks import Choice, Rule
from agents.runtime import briefs, sweeping
from agents.runtime.claims import claim
from agents.runtime.contract import Finished, NeedsHuman
from projects.exceptions import InvalidInput
from projects.models import AuditEntry
from tests import runtime_fixtures
from tests.runtime_fixtures import claim_one, plan_step, planned, result, state_of, states

agents = runtime_fixtures.agents
task = runtime_fixtures.task

EVERY_WAY = ["retry_with_note", "reassign", "take_over", "go_on_without", "stop"]
LIMITS = [Rule.MAX_TURNS, Rule.WALL_CLOCK, Rule.BUDGET]


def trip(key: str = "a", rule: str = Rule.FAULT, **facts: object) -> Escalation:
    """Let a claimed step of this key go to a person."""
    (attempt,) = Attempt.objects.filter(step__key=key, state="running")
    assert settle(attempt, NeedsHuman(rule=Rule(rule), detail="It tripped.", **facts))
    return Escalation.objects.get(step__key=key, state="open")


@pytest.fixture
def pair(task) -> Task:
    """Two steps side by side at work, and a third that needs the first."""
    planned(task, plan_step("a"), plan_step("b", "tester"), plan_step("c", "tech-writer", "a"))
    assert len(claim("worker-a", limit=9)) == 2
    return task


@pytest.mark.parametrize("rule", [rule for rule in Rule if rule not in LIMITS])
def test_every_way_on_is_offered_for_a_step_of_work(pair, rule):
    assert trip(rule=rule).options == EVERY_WAY


@pytest.mark.parametrize("rule", LIMITS)
def test_only_a_limit_can_be_raised(pair, rule):
    assert trip(rule=rule).options == ["raise_limit_once", *EVERY_WAY]


def test_options_that_the_rule_leaves_are_kept(pair):
    asked = trip(rule=Rule.BUDGET, options=(Choice.RETRY_WITH_NOTE, Choice.STOP))
    assert asked.options == EVERY_WAY


def test_blocked_agent_leaves_the_same_ways(pair):
    attempt = Attempt.objects.get(step__key="a", state="running")
    assert settle(attempt, Finished(result("blocked", "Which rate?")))
    asked = Escalation.objects.get()
    assert (asked.rule, asked.options) == ("blocked", EVERY_WAY)


def test_routing_and_assembling_cannot_be_left_out_or_given_away(task):
    settle(claim_one().attempt, NeedsHuman(rule=Rule.FAULT, detail="x"))
    assert Escalation.objects.get().options == ["retry_with_note", "stop"]


def test_only_work_of_a_task_cannot_be_left_out(task, requester):
    planned(task, plan_step("a"))
    claim_one()
    asked = trip()
    assert "go_on_without" not in asked.options
    with pytest.raises(InvalidInput):
        escalations.resolve(asked, choice="go_on_without", by=requester)


def test_last_work_left_cannot_be_left_out_although_it_was_offered(pair, requester):
    first, second = trip("a"), trip("b")
    third = Step.objects.get(key="c")
    third.move(StepState.CANCELLED)
    escalations.resolve(first, choice="go_on_without", by=requester)
    second.refresh_from_db()
    assert "go_on_without" in second.options
    assert "go_on_without" not in escalations.offered(second)
    with pytest.raises(InvalidInput):
        escalations.resolve(second, choice="go_on_without", by=requester)


# Reassign


def test_another_agent_begins_anew_from_the_same_base(pair, requester):
    Task.objects.update(model="openai:stub")
    Step.objects.filter(key="a").update(base_commit="b" * 40, extra_turns=5)
    Attempt.objects.filter(step__key="a").update(checkpoint={"turn": 2}, turns=2)
    asked = trip(rule=Rule.BLOCKED)
    escalations.resolve(
        asked, choice="reassign", agent="tester", note="You know the tests.", by=requester
    )
    asked.refresh_from_db()
    assert (asked.choice, asked.reassigned_to.slug) == ("reassign", "tester")
    (again,) = claim("worker-a", limit=9)
    assert (again.step.key, again.step.agent.slug) == ("a", "tester")
    assert again.step.version.agent.slug == "tester"
    assert (again.step.base_commit, again.step.extra_turns) == ("b" * 40, 0)
    assert (again.attempt.resumes, again.attempt.checkpoint, again.attempt.turns) == (None, None, 0)
    told = again.step.feedback[-1]
    assert told["by"] == "Countersign"
    assert "Coder agent did not finish this step: It tripped." in told["note"]
    assert Event.objects.get(kind="message").data["text"] == "You know the tests."
    entry = AuditEntry.objects.get(action="escalation.resolved")
    assert (entry.detail["choice"], entry.detail["agent"]) == ("reassign", "tester")


@pytest.mark.parametrize("slug", ["", "coder", "router", "aggregator", "nobody", "x" * 61, "\0"])
def test_agent_that_may_not_do_it_is_refused(pair, requester, slug):
    asked = trip()
    with pytest.raises(InvalidInput, match="tech-writer, tester") as refusal:
        escalations.resolve(asked, choice="reassign", agent=slug, by=requester)
    assert refusal.value.field == "agent"
    assert states(pair)["a"] == "waiting_human"


def test_agent_that_is_switched_off_since_is_no_candidate(pair, requester):
    asked = trip()
    Agent.objects.filter(slug="tester").update(enabled=False)
    with pytest.raises(InvalidInput):
        escalations.resolve(asked, choice="reassign", agent="tester", by=requester)


def test_nobody_else_means_no_reassigning(agents, project, requester):
    Agent.objects.filter(slug__in=["tester", "tech-writer"]).update(enabled=False)
    task = submit(project=project, requester=requester, request="Fix it").task
    planned(task, plan_step("a"), plan_step("b"))
    claim("worker-a", limit=9)
    assert "reassign" not in trip().options


# Take over, in words


def test_step_taken_over_in_words_is_done_and_lets_others_go_on(pair, requester):
    asked = trip()
    escalations.resolve(asked, choice="take_over", note="The rate is 19 %.", by=requester)
    step = Step.objects.get(key="a")
    assert (step.state, step.result["status"]) == ("done", "done")
    assert step.result["summary"] == "Mira Ode took this step over: The rate is 19 %."
    theirs = step.attempts.get(number=step.attempt)
    assert (theirs.worker, theirs.state, theirs.turns) == ("person", "finished", 0)
    assert states(pair)["c"] == "ready"
    needs = list(Step.objects.get(key="c").needs.select_related("agent"))
    (need,) = [briefs.need_facts(one) for one in needs]
    assert need["result"]["summary"].endswith("The rate is 19 %.")
    assert state_of(pair) == "working"
    event = Event.objects.get(kind="step.finished", step=step)
    assert event.data["by"] == "Mira Ode"


def test_long_result_becomes_a_report(pair, requester):
    escalations.resolve(trip(), choice="take_over", note="x" * 20_000, by=requester)
    made = Step.objects.get(key="a").result
    assert (len(made["summary"]), len(made["report"])) == (2_000, 20_000)


@pytest.mark.parametrize(
    ("note", "commit", "field"),
    [
        ("", "", "note"),
        (" \n ", "", "note"),
        ("x" * 20_001, "", "note"),
        ("\0", "", "note"),
        ("Done.", "x" * 201, "commit"),
    ],
)
def test_result_that_cannot_be_taken_is_refused(pair, requester, note, commit, field):
    asked = trip()
    with pytest.raises(InvalidInput) as refusal:
        escalations.resolve(asked, choice="take_over", note=note, commit=commit, by=requester)
    assert refusal.value.field == field
    assert (states(pair)["a"], Escalation.objects.get().state) == ("waiting_human", "open")


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"choice": "burn"}, "choice"),
        ({"choice": ""}, "choice"),
        ({"choice": "raise_limit_once"}, "choice"),
        ({"choice": "retry_with_note", "agent": "tester"}, "agent"),
        ({"choice": "retry_with_note", "commit": "main"}, "commit"),
        ({"choice": "stop", "note": "x" * 4_001}, "note"),
        ({"choice": "reassign", "agent": "tester", "note": "\ud800"}, "note"),
    ],
)
def test_bad_answer_changes_nothing(pair, requester, facts, field):
    asked = trip()
    before = Event.objects.count()
    with pytest.raises(InvalidInput) as refusal:
        escalations.resolve(asked, by=requester, **facts)
    assert refusal.value.field == field
    assert (Event.objects.count(), Escalation.objects.get().state) == (before, "open")


# Go on without


def test_task_goes_on_without_a_step_and_everybody_is_told(pair, requester):
    asked = trip()
    escalations.resolve(asked, choice="go_on_without", note="Not this quarter.", by=requester)
    step = Step.objects.get(key="a")
    assert (step.state, step.left_out) == ("cancelled", True)
    assert step.reason == "Left out by Mira Ode: Not this quarter."
    assert states(pair) == {
        "route": "done",
        "a": "cancelled",
        "b": "leased",
        "c": "ready",
        "assemble": "waiting",
    }
    assert Step.objects.get(key="assemble").waits == 2
    (need,) = [briefs.need_facts(one) for one in Step.objects.get(key="c").needs.all()]
    assert need["result"] == {"status": "left out", "summary": step.reason}
    assert state_of(pair) == "working"


def test_without_a_note_the_reason_is_what_happened(pair, requester):
    escalations.resolve(trip(), choice="go_on_without", by=requester)
    assert Step.objects.get(key="a").reason == "Left out by Mira Ode: It tripped."


def test_step_after_a_left_out_one_builds_on_what_was_before_it(task, requester):
    planned(task, plan_step("a"), plan_step("b", "coder", "a"), plan_step("c", "tester", "b"))
    settle(claim_one().attempt, Finished(result()), result_commit="a" * 40)
    claim_one()
    escalations.resolve(trip("b"), choice="go_on_without", by=requester)
    needs = Step.objects.get(key="c").needs
    assert set(needs.values_list("key", "result_commit")) == {("a", "a" * 40), ("b", "")}
    assert claim_one().step.key == "c"


def test_counters_counted_anew_take_a_left_out_step_for_done(pair, requester):
    escalations.resolve(trip(), choice="go_on_without", by=requester)
    Step.objects.filter(key="c").update(state="waiting", waits=1)
    assert fan_in.recount(Task.objects.get()) == 1
    assert states(pair)["c"] == "ready"


# Several at once


def test_each_question_is_answered_on_its_own_and_the_answered_go_on(pair, requester):
    first, second = trip("a", Rule.NO_PROGRESS), trip("b", Rule.OSCILLATION)
    escalations.resolve(second, choice="retry_with_note", note="Once.", by=requester)
    assert state_of(pair) == "needs_human"
    assert [one.step.key for one in claim("worker-a", limit=9)] == ["b"]
    escalations.resolve(first, choice="take_over", note="I did it.", by=requester)
    assert state_of(pair) == "working"
    assert [one.step.key for one in claim("worker-a", limit=9)] == ["c"]


@pytest.mark.parametrize("rule", [Rule.BUDGET, Rule.WALL_CLOCK])
def test_nobody_begins_while_a_person_is_asked_about_time_or_money(pair, requester, rule):
    trip("a", rule)
    escalations.resolve(trip("b"), choice="retry_with_note", by=requester)
    assert claim("worker-a", limit=9) == []


def test_nobody_begins_while_a_person_is_asked_about_the_whole_task(pair, requester):
    escalations.raise_on(Task.objects.get(), rule=Rule.DEADLOCK, detail="They wait in a circle.")
    escalations.resolve(trip("b"), choice="retry_with_note", by=requester)
    assert claim("worker-a", limit=9) == []


@pytest.mark.parametrize(("state", "rule"), [("failed", "fault"), ("blocked", "blocked")])
def test_step_that_ended_badly_without_a_question_gets_one(pair, requester, state, rule):
    step = Step.objects.get(key="a")
    step.attempts.update(state="failed", finished_at=Now())
    step.move(state, reason="It broke.")
    assert escalations.ask_for_settled() == 1
    assert escalations.ask_for_settled() == 0
    asked = Escalation.objects.get()
    assert (asked.rule, asked.detail, asked.options) == (rule, "It broke.", EVERY_WAY)
    escalations.resolve(asked, choice="retry_with_note", by=requester)
    assert [one.step.key for one in claim("worker-a", limit=9)] == ["a"]


def test_sweeper_asks_about_a_failed_step(pair):
    Step.objects.get(key="b").move("failed")
    sweeping.help_stuck_tasks()
    assert Escalation.objects.get().step.key == "b"
    assert state_of(pair) == "needs_human"


def test_answer_says_where_it_came_from(pair, requester):
    escalations.resolve(trip(), choice="stop", by=requester, address="192.0.2.7")
    told = AuditEntry.objects.filter(action__in=["task.stopped", "escalation.resolved"])
    assert [entry.address for entry in told] == ["192.0.2.7", "192.0.2.7"]
