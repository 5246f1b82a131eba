"""Tasks that come in a crowd get their first step from a worker: each once, none too late."""

from __future__ import annotations

import asyncio
import threading
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from agents import arrivals, dispatch, intake, priorities, requests, stopping
from agents.accepting import CROWD
from agents.invariants.work import CHECKS
from agents.lifecycle import TaskState
from agents.models import Agent, Arrival, Event, Step, Task
from agents.runtime import sweeping
from agents.runtime.claims import claim
from agents.runtime.database import in_db
from agents.runtime.loop import Runtime
from projects.models import Membership, Project, Role
from tests import runtime_fixtures
from tests.waiting_locks import until_somebody_waits

agents = runtime_fixtures.agents

pytestmark = pytest.mark.usefixtures("agents")


def crowd(user, project, count=CROWD + 1):
    sender = requests.sender_of(user, project)
    asked = [requests.ask(sender, request=f"No. {number}") for number in range(count)]
    return [UUID(outcome.id) for outcome in intake.submit_all(asked)]


def test_a_few_get_their_step_at_once_and_a_crowd_later(project, requester):
    few = crowd(requester, project, CROWD)
    assert (Step.objects.count(), Arrival.objects.count()) == (len(few), 0)
    many = crowd(requester, project)
    assert (Step.objects.count(), Arrival.objects.count()) == (len(few), len(many))
    assert arrivals.admit_all() == len(many)
    assert arrivals.admit_all() == 0
    assert Arrival.objects.count() == 0
    alone, late = Step.objects.get(task=few[0]), Step.objects.get(task=many[0])
    same = ["kind", "key", "state", "title", "agent_id", "version_id", "project_id", "priority"]
    same += [
        "waits",
        "attempt",
        "round",
        "depth",
        "files",
        "feedback",
        "instructions",
        "acceptance",
    ]
    assert [getattr(late, name) for name in same] == [getattr(alone, name) for name in same]
    assert late.available_at is not None
    assert late.created_at is not None
    assert [event.kind for event in Event.objects.filter(task=many[0])] == ["task.submitted"]


@pytest.mark.django_db(transaction=True)
def test_two_workers_share_a_crowd(project, requester):
    many = crowd(requester, project, 200)
    counts, barrier = [], threading.Barrier(4)

    def admit():
        barrier.wait()
        try:
            counts.append(arrivals.admit_all())
        finally:
            connection.close()

    threads = [threading.Thread(target=admit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(counts) + arrivals.admit_all() == len(many)
    assert (
        Step.objects.count() == len(many) == len(set(Step.objects.values_list("task", flat=True)))
    )


def test_a_task_that_was_stopped_meanwhile_gets_no_step(project, requester):
    first, *rest = crowd(requester, project)
    Task.objects.get(pk=first).move(TaskState.CANCELLED, kind="task.finished")
    arrivals.admit_all()
    assert not Step.objects.filter(task=first).exists()
    assert Step.objects.count() == len(rest)
    assert Arrival.objects.count() == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", ["stop", "prioritise"])
def test_what_a_person_does_while_a_worker_lets_it_in_counts(project, requester, lead, act):
    first, *_ = crowd(requester, project)
    task, told = Task.objects.get(pk=first), []

    def do():
        try:
            if act == "stop":
                stopping.stop(task, by=requester)
            else:
                priorities.change(task, to=2, by=lead)
            told.append(act)
        finally:
            connection.close()

    acting = threading.Thread(target=do)
    with transaction.atomic():
        arrivals._admit()
        acting.start()
        until_somebody_waits()
    acting.join(30)
    assert told == [act]
    step = Step.objects.get(task=first)
    assert (step.state, step.priority) == {"stop": ("cancelled", 0), "prioritise": ("ready", 2)}[
        act
    ]
    assert [check.name for check in CHECKS if check.find().count] == []


@pytest.mark.django_db(transaction=True)
async def test_a_worker_that_rings_for_itself_all_the_time_lets_a_crowd_in(project, requester):
    many = await in_db(crowd, requester, project)
    runtime = Runtime(owner="here")
    running, ringing = asyncio.create_task(runtime.run()), asyncio.create_task(_ring_on())
    try:
        async with asyncio.timeout(30):
            while await in_db(Arrival.objects.count):  # noqa: ASYNC110 - a worker empties it
                await asyncio.sleep(0.01)
        assert await in_db(Step.objects.count) == len(many)
    finally:
        ringing.cancel()
        runtime.drain()
        await asyncio.wait_for(running, 30)


async def _ring_on():
    while True:
        dispatch.ring()
        await asyncio.sleep(0.005)


def test_a_crowd_of_one_project_does_not_starve_another(project, requester, lead):
    other = Project.objects.create(slug="other", name="other", repository="/nowhere.git")
    Membership.objects.create(user=lead, project=other, role=Role.LEAD)
    crowd(requester, project, 300)
    (alone,) = crowd(lead, other, 1)
    arrivals.admit_all()
    taken = {claimed.step.task_id for claimed in claim("worker-a", limit=4)}
    assert alone in taken


def test_its_priority_counts(project, requester):
    many = crowd(requester, project)
    Task.objects.filter(pk=many[-1]).update(priority=2)
    arrivals.admit_all()
    (claimed,) = claim("worker-a", limit=1)
    assert claimed.step.task_id == many[-1]


def test_without_a_router_they_wait(project, requester):
    many = crowd(requester, project)
    Agent.objects.filter(slug="router").update(enabled=False)
    assert arrivals.admit_all() == 0
    assert Arrival.objects.count() == len(many)
    Agent.objects.filter(slug="router").update(enabled=True)
    assert arrivals.admit_all() == len(many)


def test_whoever_still_waits_to_be_let_in_is_not_stuck(project, requester):
    crowd(requester, project)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE agents_event DISABLE TRIGGER append_only")
        Event.objects.update(at=Now() - sweeping._QUIET * 10)
        cursor.execute("ALTER TABLE agents_event ENABLE TRIGGER append_only")
    assert sweeping.help_stuck_tasks() == 0
    assert [check.name for check in CHECKS if check.find().count] == []


def test_the_page_of_a_task_that_waits_to_be_let_in(client, project, requester):
    first, *_ = crowd(requester, project)
    client.force_login(requester)
    number = Task.objects.get(pk=first).number
    for path in (
        f"/tasks/T-{number}",
        f"/tasks/T-{number}/live",
        f"/tasks/T-{number}/trace",
        "/tasks",
    ):
        assert client.get(path).status_code == 200
    assert "The router begins in a moment" in client.get(f"/tasks/T-{number}").content.decode()


def test_an_admin_finds_who_submitted_one_of_a_crowd(client, admin, project, requester):
    client.force_login(admin)
    many = crowd(requester, project)
    for task in (many[0], many[-1]):
        page = client.get("/admin/projects/auditentry/", {"q": str(task)})
        assert [entry.action for entry in page.context["cl"].result_list] == ["task.submitted"]
