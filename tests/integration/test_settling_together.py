"""Attempts that end in the same moment are written together, and each as if it had been alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents import finishing
from agents.events import Kind
from agents.finishing import Settlement, settle_all
from agents.intake import submit
from agents.lifecycle import TaskState
from agents.messages import ProposalDraft
from agents.models import Agent, Attempt, Escalation, Event, Proposal, Step, Task
from agents.models.tasks import Rule
from agents.recording import record_all
from agents.runtime.claims import Claimed, claim
from agents.runtime.contract import Finished, Interrupted, NeedsHuman
from agents.writing import Writes
from projects.exceptions import CountersignError, TransitionRefused
from tests import runtime_fixtures
from tests.runtime_fixtures import make_plan, plan_step, result, state_of, states

agents = runtime_fixtures.agents
DRAFT = Finished(ProposalDraft(title="Land it", summary="It."))


@pytest.fixture
def tasks(agents, project, requester) -> list[Task]:
    return [
        submit(project=project, requester=requester, request=f"Fix bug {number}").task
        for number in range(4)
    ]


def publish(writes: Writes, step: Step, version: int) -> None:
    facts = {"kind": "report", "title": "x", "summary": "x", "model": "x"}
    writes.add([Proposal(task=step.task, round=step.task.round, version=version, **facts)])
    writes.move_step(step, "done")
    writes.move_task(step.task, TaskState.REVIEW, kind=Kind.PROPOSAL_READY, data={})


def ended(one: Claimed, outcome=None) -> Settlement:
    if one.step.kind == "assemble":
        return Settlement(attempt=one.attempt, outcome=DRAFT, publish=publish)
    made = Finished(make_plan(plan_step("a"), plan_step("b", "tester", "a")))
    usual = made if one.step.kind == "route" else Finished(result())
    return Settlement(attempt=one.attempt, outcome=outcome or usual)


def test_whole_tasks_go_through_it_and_every_event_is_in_order(tasks):
    while claimed := claim("worker-a", limit=50):
        assert settle_all([ended(one) for one in claimed]) == [True] * len(claimed)
    for task in tasks:
        assert state_of(task) == "review"
        assert set(states(task).values()) == {"done"}
        events = list(Event.objects.filter(task=task).order_by("seq"))
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert [e.id for e in events] == sorted(e.id for e in events)
        kinds = [event.kind for event in events if event.kind != "step.state"]
        assert kinds.index("task.planned") < kinds.index("proposal.ready")
        assert Task.objects.get(pk=task.pk).last_seq == len(events)
    assert set(Attempt.objects.values_list("state", flat=True)) == {"finished"}


def test_many_cost_as_many_statements_as_one(agents, project, requester):
    def statements(claimed: list[Claimed]) -> list[str]:
        with CaptureQueriesContext(connection) as seen:
            settle_all([ended(one) for one in claimed])
        return [query["sql"] for query in seen.captured_queries]

    for number in range(12):
        submit(project=project, requester=requester, request=f"Fix bug {number}")
    one, *rest = claim("worker-a", limit=50)
    alone, together = statements([one]), statements(rest)
    assert len(rest) == 11
    assert len(together) == len(alone)
    (inserted,) = (sql for sql in together if sql.startswith('INSERT INTO "agents_step" '))
    assert "unnest" in inserted  # as arrays, not as a thousand placeholders


def test_steps_of_one_task_count_its_dependent_down_together(agents, project, requester):
    task = submit(project=project, requester=requester, request="Fix it").task
    runtime_fixtures.planned(task, *(plan_step(f"s{n}") for n in range(3)))
    claimed = claim("worker-a", limit=9)
    assert settle_all([ended(one) for one in claimed[:2]]) == [True, True]
    last = Step.objects.get(task=task, kind="assemble")
    assert (last.state, last.waits) == ("waiting", 1)
    assert settle_all([ended(claimed[2])]) == [True]
    last.refresh_from_db()
    assert (last.state, last.waits) == ("ready", 0)
    assert Event.objects.filter(task=task, step=last, kind="step.state").count() == 1


def test_one_delivered_twice_in_the_same_batch_is_written_once(tasks):
    one, *_ = claim("worker-a", limit=1)
    assert settle_all([ended(one), ended(one)]) == [True, False]
    assert Event.objects.filter(kind="task.planned").count() == 1


def test_what_ends_otherwise_is_written_beside_the_rest(tasks):
    stale, asks, back, bad = claim("worker-a", limit=4)
    Step.objects.filter(pk=stale.step.pk).update(attempt=9)
    outcomes = [
        ended(stale),
        ended(asks, NeedsHuman(rule=Rule.FAULT, detail="It tripped.")),
        ended(back, Interrupted()),
        ended(bad, Finished(make_plan(plan_step("a", "nobody")))),
    ]
    assert settle_all(outcomes) == [False, True, True, True]
    assert state_of(asks.step.task) == "needs_human"
    assert states(back.step.task) == {"route": "ready"}
    raised = Escalation.objects.get(task=bad.step.task)
    assert raised.rule == "invalid_plan"
    assert states(bad.step.task) == {"route": "waiting_human"}
    assert states(stale.step.task) == {"route": "leased"}


def test_a_plan_that_cannot_be_carried_out_keeps_no_other_from_its_steps(tasks):
    bad, good, *_ = claim("worker-a", limit=4)
    refused = ended(bad, Finished(make_plan(plan_step("a", "nobody"))))
    assert settle_all([refused, ended(good)]) == [True, True]
    assert states(good.step.task)["a"] == "ready"
    assert states(bad.step.task) == {"route": "waiting_human"}


def test_without_an_aggregator_nothing_of_the_batch_is_written(tasks):
    claimed = claim("worker-a", limit=4)
    Agent.objects.filter(slug="aggregator").update(enabled=False)
    with pytest.raises(CountersignError, match="No aggregator"):
        settle_all([ended(one) for one in claimed])
    assert set(Step.objects.values_list("state", flat=True)) == {"leased"}
    assert not Event.objects.filter(kind="task.planned").exists()


def test_a_draft_that_nothing_publishes_is_an_error_of_its_own(tasks):
    one, other, *_ = claim("worker-a", limit=2)
    draft = Settlement(attempt=one.attempt, outcome=DRAFT)
    error, settled = settle_all([draft, ended(other)])
    assert isinstance(error, TypeError)
    assert settled is True
    with pytest.raises(TypeError, match="what publishes it"):
        finishing.settle(one.attempt, DRAFT)


def test_rows_that_changed_meanwhile_spoil_the_whole_writing(tasks):
    one, *_ = claim("worker-a", limit=1)
    step = Step.objects.select_related("task").get(pk=one.step.pk)
    writes = Writes()
    writes.move_step(step, "done")
    Step.objects.filter(pk=step.pk).update(attempt=7)
    with pytest.raises(TransitionRefused, match="had changed meanwhile"):
        writes.write()


def test_events_of_many_tasks_are_numbered_each_by_its_own(tasks):
    first, second, *_ = tasks
    wanted = [(first, "a"), (second, "b"), (first, "c"), (second, "d"), (first, "e")]
    before = {task.pk: Task.objects.get(pk=task.pk).last_seq for task in tasks}
    events = [Event(task=task, kind="task.state", data={"say": say}) for task, say in wanted]
    record_all(events)
    for event, (_, say) in zip(events, wanted, strict=True):
        stored = Event.objects.get(pk=event.pk)
        assert (stored.seq, stored.data, stored.xact) == (event.seq, {"say": say}, event.xact)
    assert [event.seq - before[event.task_id] for event in events] == [1, 1, 2, 2, 3]


def test_a_plan_writes_the_main_its_task_begins_with(tasks):
    claimed = sorted(claim("worker-a", limit=50), key=lambda one: tasks.index(one.step.task))
    bases = ["a" * 40, "b" * 40, "", "c" * 40]
    Task.objects.filter(pk=tasks[2].pk).update(base_commit="d" * 40)
    settlements = [replace(ended(one), base=base) for one, base in zip(claimed, bases, strict=True)]
    refused = make_plan(plan_step("a", "nobody"))
    settlements[3] = replace(settlements[3], outcome=Finished(refused))
    assert settle_all(settlements) == [True] * 4
    kept = [Task.objects.get(pk=task.pk).base_commit for task in tasks]
    assert kept == ["a" * 40, "b" * 40, "d" * 40, ""]
