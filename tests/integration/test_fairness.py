"""Which steps go first: fair between projects, by priority inside one, never above an agent's cap."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from agents.models import Agent, Step, Task
from agents.runtime import sharing
from agents.runtime.claims import claim
from countersign.supervisor import logins
from projects.models import Project
from tests import runtime_fixtures

agents = runtime_fixtures.agents


@pytest.fixture
def others(project) -> list[Project]:
    """Three projects beside the first one."""
    slugs = [f"other-{n}" for n in range(3)]
    return [Project.objects.create(slug=slug, name=slug, repository="/x.git") for slug in slugs]


@pytest.fixture
def ready(agents, requester):
    """Return what makes ready steps of a project: one task each, or all in one task."""

    def make(project: Project, steps: int, agent: str = "coder", **facts: object) -> list[Step]:
        first = Task.objects.order_by("-number").values_list("number", flat=True).first() or 0
        who = agents[agent]
        task = {
            "project": project,
            "requester": requester,
            "state": "working",
            "model": "rehearsal",
        }
        tasks = Task.objects.bulk_create(
            Task(number=first + n, title="x", request="x", limits={}, **task)
            for n in range(1, steps + 1)
        )
        step = {"agent": who, "version": who.published(), "state": "ready", "project": project}
        return Step.objects.bulk_create(
            Step(task=task, key="s", title="x", **{**step, **facts}) for task in tasks
        )

    return make


def projects_of(claimed) -> list[str]:
    return [one.step.task.project.slug for one in claimed]


def test_thousand_steps_of_one_project_do_not_starve_the_first_of_another(ready, project, others):
    ready(project, 1_000)
    for other in others:
        ready(other, 1)
    assert Counter(projects_of(claim("worker-a", limit=8))) == {
        "acme-billing": 5,
        "other-0": 1,
        "other-1": 1,
        "other-2": 1,
    }


def test_worker_claims_for_a_capped_agent_with_the_rights_it_has(ready, project, agents):
    ready(project, 3)
    Agent.objects.filter(slug="coder").update(max_in_flight=2)
    with transaction.atomic(), connection.cursor() as cursor:
        logins.create(cursor, logins.AGENTS, "a password of this test")
        logins.grant(cursor, logins.AGENTS, logins.role_name(logins.AGENTS))
        cursor.execute("SET LOCAL ROLE countersign_agents")
        assert len(claim("worker-a", limit=8)) == 2
        cursor.execute("RESET ROLE")


def test_project_with_steps_in_flight_stands_behind_those_with_none(ready, project, others):
    ready(project, 30)
    assert len(claim("worker-a", limit=10)) == 10
    ready(others[0], 30)
    assert set(projects_of(claim("worker-b", limit=10))) == {"other-0"}
    assert Counter(projects_of(claim("worker-c", limit=10))) == {"acme-billing": 5, "other-0": 5}


def test_what_one_project_cannot_use_goes_to_the_others(ready, project, others):
    ready(project, 50)
    ready(others[0], 2)
    ready(others[1], 3)
    assert Counter(projects_of(claim("worker-a", limit=40))) == {
        "acme-billing": 35,
        "other-0": 2,
        "other-1": 3,
    }


def test_inside_a_project_priority_goes_first_then_who_waits_longest(ready, project):
    (late,) = ready(project, 1, available_at=Now() - timedelta(seconds=5))
    (early,) = ready(project, 1, available_at=Now() - timedelta(seconds=50))
    (urgent,) = ready(project, 1, priority=1)
    got = [claim("worker-a", limit=1)[0].step.pk for _ in range(3)]
    assert got == [urgent.pk, early.pk, late.pk]


def test_priority_does_not_jump_over_another_projects_first_step(ready, project, others):
    ready(project, 5, priority=9)
    ready(others[0], 1)
    assert Counter(projects_of(claim("worker-a", limit=2))) == {"acme-billing": 1, "other-0": 1}


def test_between_equal_projects_the_higher_priority_goes_first(ready, project, others):
    ready(project, 1)
    ready(others[0], 1, priority=1)
    assert projects_of(claim("worker-a", limit=1)) == ["other-0"]


def test_slots_are_dealt_to_the_fewest_in_flight():
    standings = [sharing.Standing(project=p, in_flight=n) for p, n in (("a", 0), ("b", 3))]
    assert sharing.deal(standings, 3) == {"a": 3}
    assert sharing.deal(standings, 7) == {"a": 5, "b": 2}
    assert sharing.deal([], 5) == {}


@pytest.mark.parametrize(
    ("cap", "first", "second"), [(3, 3, 0), (4, 4, 0), (20, 10, 10), (0, 0, 0)]
)
def test_cap_of_an_agent_is_never_exceeded(ready, agents, project, cap, first, second):
    Agent.objects.filter(slug="coder").update(max_in_flight=cap)
    ready(project, 30)
    assert len(claim("worker-a", limit=10)) == first
    assert len(claim("worker-b", limit=10)) == second


def test_agent_at_its_cap_does_not_keep_others_waiting(ready, agents, project, others):
    Agent.objects.filter(slug="coder").update(max_in_flight=2)
    ready(project, 40, priority=5)
    ready(project, 3, "tester")
    ready(others[0], 40)
    ready(others[0], 3, "tester")
    claimed = Counter(one.step.agent.slug for one in claim("worker-a", limit=20))
    assert claimed == {"coder": 2, "tester": 6}


@pytest.mark.django_db(transaction=True)
def test_cap_holds_over_workers_that_claim_at_once(ready, agents, project):
    Agent.objects.filter(slug="coder").update(max_in_flight=7)
    ready(project, 60)
    ready(project, 20, "tester")
    start, most, got = threading.Barrier(4), [], []

    def take(owner: str) -> None:
        start.wait()
        for _ in range(12):
            got.extend(one.step for one in claim(owner, limit=5))
            most.append(Step.objects.filter(agent__slug="coder", state="leased").count())
        connection.close()

    threads = [threading.Thread(target=take, args=(f"worker-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert max(most) == 7
    assert Counter(step.agent.slug for step in got) == {"coder": 7, "tester": 20}
    assert len({step.pk for step in got}) == 27
