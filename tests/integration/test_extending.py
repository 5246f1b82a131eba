"""A specialist says what also needs doing: it becomes steps, and the proposal waits for them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agents import extending, fan_in
from agents.finishing import settle
from agents.messages import ExtraStep, StepResult
from agents.models import Agent, Attempt, Escalation, Event, Step, StepDependency, Task
from agents.runtime import sweeping
from agents.runtime.claims import claim
from agents.runtime.contract import Finished
from tests import runtime_fixtures
from tests.delegation_fixtures import claim_step
from tests.runtime_fixtures import plan_step, planned, state_of, states

agents = runtime_fixtures.agents
task = runtime_fixtures.task


def extra(key: str, agent: str = "tester", *needs: str) -> ExtraStep:
    return ExtraStep(id=key, agent=agent, title=f"Do {key}", instructions="Go.", depends_on=needs)


def finished(*extras: ExtraStep, status: str = "done") -> StepResult:
    return StepResult(status=status, summary="Did it.", extra_steps=extras)


def end(attempt: Attempt, *extras: ExtraStep) -> bool:
    return settle(attempt, Finished(finished(*extras)), result_commit="c" * 40)


def test_extra_steps_hold_up_the_proposal_until_they_are_done(task):
    planned(task, plan_step("fix"), plan_step("docs", "tech-writer"))
    assert end(claim_step("fix").attempt, extra("cover"), extra("note", "coder", "cover"))
    assert states(task) == {
        "route": "done",
        "fix": "done",
        "docs": "leased",
        "assemble": "waiting",
        "cover": "ready",
        "note": "waiting",
    }
    last, cover = Step.objects.get(key="assemble"), Step.objects.get(key="cover")
    assert last.waits == 3
    assert (cover.asked_by.key, cover.depth, cover.kind, cover.round) == ("fix", 1, "work", 1)
    assert [need.key for need in cover.needs.all()] == ["fix"]
    added = [event.data for event in Event.objects.filter(kind="step.added").order_by("seq")]
    assert [(one["key"], one["asked_by"], one["by"]) for one in added] == [
        ("cover", "fix", "coder"),
        ("note", "fix", "coder"),
    ]
    for key in ("docs", "cover", "note"):
        assert Step.objects.get(key="assemble").state == "waiting"
        if key != "docs":
            claim("worker-a", limit=9)
        assert end(Attempt.objects.get(step__key=key, state="running"))
    assert states(task)["assemble"] == "ready"


def problems_of(task: Task, *extras: ExtraStep, **facts: str) -> list[str]:
    planned(task, plan_step("fix"))
    claim("worker-a", limit=9)
    return extending.problems(finished(*extras, **facts), Step.objects.get(key="fix"))


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (extra("cover", "nobody"), "no agent 'nobody' for this task"),
        (extra("cover", "aggregator"), "use coder, tech-writer, tester"),
        (extra("fix"), "this id is taken in this task"),
        (extra("assemble-2"), "taken by Countersign itself"),
        (extra("asked-1"), "taken by Countersign itself"),
        (extra("cover").model_copy(update={"files": ["../x"]}), "not a path inside"),
    ],
)
def test_problems_of_an_extra_step_are_sentences(task, one, says):
    (problem,) = problems_of(task, one)
    assert says in problem


def test_extra_step_without_a_fault_has_no_problem(task):
    assert problems_of(task, extra("cover"), extra("note", "coder", "cover")) == []


def test_agent_that_is_switched_off_gets_no_extra_step(task):
    Agent.objects.filter(slug="tester").update(enabled=False)
    assert "no agent 'tester'" in problems_of(task, extra("cover"))[0]


def test_blocked_step_adds_none(task):
    (problem,) = problems_of(task, extra("cover"), status="blocked")
    assert "adds no steps" in problem


@pytest.mark.parametrize(("most", "fits"), [(4, True), (3, True), (2, False)])
def test_extra_steps_count_as_steps_of_the_task(task, most, fits):
    limits = {**Task.objects.get().limits, "steps": most}
    Task.objects.update(limits=limits)
    task.limits = limits
    found = problems_of(task, extra("cover"), extra("note"))
    says = f"This task has 1 of at most {most} steps; you may add {most - 1}."
    assert found == ([] if fits else [says])


def test_extra_step_of_an_extra_step_of_an_extra_step_is_too_deep(task):
    planned(task, plan_step("fix"))
    end(claim_step("fix").attempt, extra("one"))
    end(claim_step("one").attempt, extra("two"))
    two = claim_step("two")
    assert two.step.depth == 2
    assert "may add no more" in extending.problems(finished(extra("three")), two.step)[0]


def test_step_that_others_made_impossible_meanwhile_is_tried_again_not_lost(task):
    planned(task, plan_step("fix"), plan_step("docs", "tech-writer"))
    running = {one.step.key: one.attempt for one in claim("worker-a", limit=9)}
    assert end(running["fix"], extra("cover"))
    assert end(running["docs"], extra("cover"))
    assert states(task)["docs"] == "ready"
    again = claim_step("docs").attempt
    assert again.resumes_id == running["docs"].pk
    assert not Escalation.objects.exists()


def test_circle_of_extra_steps_is_no_valid_message():
    with pytest.raises(ValueError, match="circle"):
        finished(extra("one", "tester", "two"), extra("two", "tester", "one"))
    with pytest.raises(ValueError, match="unknown steps: fix"):
        finished(extra("one", "tester", "fix"))


def test_recount_knows_what_was_left_out_and_mends_every_counter(task):
    planned(task, plan_step("fix"), plan_step("docs", "tech-writer"), plan_step("cover", "tester"))
    Step.objects.filter(key="fix").update(state="cancelled", left_out=True, finished_at=None)
    Step.objects.filter(key="assemble").update(waits=7)
    assert fan_in.recount(task) == 0
    assert Step.objects.get(key="assemble").waits == 2
    for key in ("docs", "cover"):
        Step.objects.filter(key=key).update(state="done")
    assert fan_in.recount(task) == 1
    assert states(task)["assemble"] == "ready"


def test_steps_that_wait_in_a_circle_are_found_and_raised_by_the_sweep(task, monkeypatch):
    monkeypatch.setattr(sweeping, "_QUIET", timedelta(0))
    planned(task, plan_step("fix"), plan_step("cover", "tester", "fix"))
    fix, cover = Step.objects.get(key="fix"), Step.objects.get(key="cover")
    StepDependency.objects.create(step=fix, needs=cover)
    Step.objects.filter(pk=fix.pk).update(state="waiting", waits=1)
    assert sweeping.help_stuck_tasks() == 1
    raised = Escalation.objects.get()
    assert (raised.rule, state_of(task)) == ("deadlock", "needs_human")
    assert set(raised.evidence["steps"]) == {"fix", "cover"}
    assert "“Do fix” → “Do cover”" in raised.detail or "“Do cover” → “Do fix”" in raised.detail
