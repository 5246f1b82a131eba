"""Many people answer at once, one stops the task, a sibling finishes: one thing happens, whole."""

from __future__ import annotations

import copy
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from django.db import connection

from agents import escalations
from agents.finishing import settle
from agents.intake import submit
from agents.models import Attempt, Escalation, Event, Step, Task
from agents.models.tasks import Rule
from agents.runtime.claims import claim
from agents.runtime.contract import Finished, NeedsHuman
from approvals.answering import answer
from approvals.stopping import stop_task
from projects.exceptions import TransitionRefused
from tests import runtime_fixtures
from tests.runtime_fixtures import claim_one, plan_step, planned, result, state_of, states

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.django_db(transaction=True)
agents = runtime_fixtures.agents
task = runtime_fixtures.task
THREADS, ROUNDS = 8, 25


@pytest.fixture
def crowd():
    """Run functions at the same moment, one thread each; tell which were refused."""
    gate = threading.Barrier(THREADS)

    def at_once(function: Callable[[], object]) -> str:
        gate.wait(60)
        try:
            function()
        except TransitionRefused as refusal:
            return str(refusal)
        return ""

    with ThreadPoolExecutor(THREADS) as pool:
        yield lambda functions: list(pool.map(at_once, functions))
        list(pool.map(at_once, [lambda: connection.close()] * THREADS))


def loaded() -> Escalation:
    rows = Escalation.objects.select_related("task__project", "step__agent", "step__task")
    return rows.get(state="open")


def trip(key: str) -> None:
    attempt = Attempt.objects.get(step__key=key, state="running")
    assert settle(attempt, NeedsHuman(rule=Rule.MAX_TURNS, detail="It tripped."))


def test_of_eight_answers_one_counts_every_time(task, requester, crowd):
    ways = ["retry_with_note", "raise_limit_once"] * (THREADS // 2)
    for _ in range(ROUNDS):
        claim_one()
        trip("route")
        mine = [copy.copy(one) for one in [loaded()] * THREADS]
        refusals = crowd(
            [
                lambda asked=asked, way=way: answer(asked, choice=way, by=requester)
                for asked, way in zip(mine, ways, strict=True)
            ]
        )
        lost = [said for said in refusals if said]
        assert len(lost) == THREADS - 1
        assert all("Mira Ode answered this at" in said for said in lost), lost
        assert states(task) == {"route": "ready"}
    won = Counter(Escalation.objects.values_list("choice", flat=True))
    assert sum(won.values()) == ROUNDS
    assert Event.objects.filter(kind="escalation.resolved").count() == ROUNDS
    given = Step.objects.select_related("version").get()
    assert given.extra_turns == won["raise_limit_once"] * given.version.max_turns
    assert state_of(task) == "planning"


def test_answer_against_stop_leaves_one_of_them(agents, project, requester, lead, crowd):
    for number in range(6):
        task = submit(project=project, requester=requester, request=f"Fix bug {number}").task
        planned(task, plan_step("a"), plan_step("b", "tester"))
        claim("worker-a", limit=9)
        attempt = Attempt.objects.get(step__task=task, step__key="a", state="running")
        settle(attempt, NeedsHuman(rule=Rule.FAULT, detail="It tripped."))
        mine = [loaded() for _ in range(6)]
        acts = [lambda: stop_task(task, by=lead), lambda: answer(mine[0], choice="stop", by=lead)]  # noqa: B023
        acts += [
            lambda asked=asked, way=way: answer(asked, choice=way, note="x", by=requester)
            for asked, way in zip(
                mine, ["take_over", "go_on_without", "retry_with_note"] * 2, strict=True
            )
        ]
        refusals = crowd(acts)
        assert state_of(task) == "cancelled"
        assert set(task.steps.values_list("state", flat=True)) <= {"done", "cancelled"}
        answered = Event.objects.filter(task=task, kind="escalation.resolved")
        assert answered.count() == 1
        assert Event.objects.filter(task=task, kind="task.finished").count() == 1
        # An answer may come before the stop; never two answers, and never a stop twice.
        assert sum(not said for said in refusals) in {1, 2}
        asked = Escalation.objects.get(task=task)
        stops_won = [said == "" for said in refusals[:2]]
        assert (asked.choice == "stop") is (sum(not said for said in refusals) == 1)
        assert sum(stops_won) == 1


def test_last_answer_and_the_last_sibling_make_the_proposal_ready_once(
    agents, project, requester, crowd
):
    for number in range(6):
        task = submit(project=project, requester=requester, request=f"Fix bug {number}").task
        keys = [f"s{at}" for at in range(THREADS)]
        planned(task, *(plan_step(key, "tester") for key in keys))
        claim("worker-a", limit=20)
        attempts = {a.step.key: a for a in Attempt.objects.filter(step__task=task, state="running")}
        for key in keys[:4]:
            settle(attempts[key], NeedsHuman(rule=Rule.FAULT, detail="It tripped."))
        rows = Escalation.objects.select_related("task__project", "step__agent", "step__task")
        asked = {one.step.key: one for one in rows.filter(task=task)}
        ways = ["take_over", "go_on_without"] * 2
        acts = [
            lambda one=asked[key], way=way: escalations.resolve(
                one, choice=way, note="x", by=requester
            )
            for key, way in zip(keys[:4], ways, strict=True)
        ]
        acts += [lambda one=attempts[key]: settle(one, Finished(result())) for key in keys[4:]]
        assert crowd(acts) == [""] * THREADS
        last = Step.objects.get(task=task, key="assemble")
        assert (last.state, last.waits, state_of(task)) == ("ready", 0, "working")
        moved = Event.objects.filter(task=task, step=last, data__state="ready")
        assert moved.count() == 1
        back = Event.objects.filter(task=task, kind="task.state", data__state="working")
        assert back.count() == 1
        Task.objects.filter(pk=task.pk).update(state="cancelled", finished_at=task.created_at)
