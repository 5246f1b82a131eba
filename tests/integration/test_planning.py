"""A plan becomes steps; a bad one becomes sentences its author can act on."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from agents import planning
from agents.finishing import settle
from agents.models import Agent, Attempt, Escalation, Event, Step, Task
from agents.runtime.claims import claim
from agents.runtime.contract import Finished
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

agents = runtime_fixtures.agents
task = runtime_fixtures.task


def test_plan_becomes_steps_that_wait_for_each_other(task):
    planned(
        task,
        plan_step("fix"),
        plan_step("cover", "tester", "fix"),
        plan_step("docs", "tech-writer"),
    )
    assert state_of(task) == "working"
    assert states(task) == {
        "route": "done",
        "fix": "ready",
        "cover": "waiting",
        "docs": "ready",
        "assemble": "waiting",
    }
    last = Step.objects.get(key="assemble")
    assert (last.waits, last.agent.slug) == (3, "aggregator")
    assert sorted(step.key for step in last.needs.all()) == ["cover", "docs", "fix"]
    event = Event.objects.get(kind="task.planned")
    assert [step["key"] for step in event.data["steps"]] == ["fix", "cover", "docs"]
    assert Task.objects.get().title == "Fix it"
    assert planning.plan_of(task)["outcome"] == "change"


def test_steps_keep_the_version_that_was_published_then(task, agents):
    planned(task, plan_step("fix"))
    assert Step.objects.get(key="fix").version == agents["coder"].published()


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([plan_step("a", "nobody")], "no agent 'nobody'"),
        ([plan_step("a", "router")], "no agent 'router'"),
        ([plan_step("a", "aggregator")], "use coder, tech-writer, tester"),
        ([plan_step("assemble")], "id is taken"),
        ([plan_step("assemble-2")], "id is taken"),
        ([plan_step("route")], "id is taken"),
        ([plan_step("a").model_copy(update={"files": ["/etc/passwd"]})], "not a path inside"),
        ([plan_step("a").model_copy(update={"files": ["a/../../b"]})], "not a path inside"),
    ],
)
def test_problems_of_a_plan_are_sentences(task, steps, says):
    (problem,) = planning.problems(make_plan(*steps), task)
    assert says in problem


def test_disabled_agent_and_unrequested_agent_are_problems(task):
    Agent.objects.filter(slug="coder").update(enabled=False)
    assert planning.problems(make_plan(plan_step("a", "coder")), task)
    task.requested_agents = ["tester"]
    assert planning.problems(make_plan(plan_step("a", "tech-writer")), task)
    assert not planning.problems(make_plan(plan_step("a", "tester")), task)


def test_plan_longer_than_the_limit_is_a_problem(task):
    task.limits = {**task.limits, "steps": 1}
    problems = planning.problems(make_plan(plan_step("a"), plan_step("b")), task)
    assert problems == ["The plan has 2 steps; this task allows at most 1."]


def test_bad_plan_that_reaches_the_end_goes_to_a_person_with_the_plan(task):
    settle(claim_one().attempt, Finished(make_plan(plan_step("a", "nobody"))))
    raised = Escalation.objects.get()
    assert (raised.rule, state_of(task)) == ("invalid_plan", "needs_human")
    assert raised.evidence["plan"]["steps"][0]["agent"] == "nobody"
    assert states(task) == {"route": "waiting_human"}


def test_text_that_postgres_cannot_keep_is_made_fit(task):
    bad = plan_step("a").model_copy(update={"instructions": "nul \0 half \ud800"})
    planned(task, bad)
    assert Step.objects.get(key="a").instructions == "nul \ufffd half ?"


def test_finished_dependency_makes_the_waiting_step_ready(task):
    planned(task, plan_step("fix"), plan_step("cover", "tester", "fix"))
    settle(claim_one().attempt, Finished(result()), result_commit="c" * 40)
    assert states(task)["cover"] == "ready"
    settle(claim_one().attempt, Finished(result()))
    assert states(task)["assemble"] == "ready"
    claim_one()
    assert state_of(task) == "assembling"


def test_blocked_step_goes_to_a_person_and_opens_nothing(task):
    planned(task, plan_step("fix"), plan_step("cover", "tester", "fix"))
    settle(claim_one().attempt, Finished(result("blocked", "I need the tax rules.")))
    assert states(task)["fix"] == "blocked"
    assert states(task)["cover"] == "waiting"
    raised = Escalation.objects.get()
    assert (raised.rule, raised.detail) == ("blocked", "I need the tax rules.")
    assert state_of(task) == "needs_human"


@pytest.mark.django_db(transaction=True)
def test_last_finishers_at_once_make_the_dependent_ready_exactly_once(task):
    """Each finish is delivered twice, from many threads: the naive check loses most of these."""
    for round_ in range(12):
        Step.objects.filter(task=task).exclude(kind="route").delete()
        Attempt.objects.all().delete()
        Step.objects.update(state="ready", lease_until=None)
        Task.objects.update(state="planning")
        planned(task, *(plan_step(f"s{n}") for n in range(8)))
        running = claim("worker-a", limit=8)
        assert len(running) == 8
        start, wins = threading.Barrier(16), []

        def finish(attempt, start=start, wins=wins):
            start.wait()
            wins.append(settle(attempt, Finished(result())))
            connection.close()

        threads = [
            threading.Thread(target=finish, args=(one.attempt,)) for one in running for _ in "ab"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(wins) == [False] * 8 + [True] * 8, f"round {round_}"
        last = Step.objects.get(key="assemble")
        assert (last.state, last.waits) == ("ready", 0)
        became = Event.objects.filter(step=last, data__state="ready")
        assert became.count() == 1
