"""The rows of the in-flight bench: many tasks with one work step each, held back until the bell."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from agents import dispatch
from agents.lifecycle import StepKind, StepState, TaskState
from agents.limits import Limits
from agents.models import Agent, Event, ModelProfile, Step, Task

if TYPE_CHECKING:
    import uuid
    from pathlib import Path

    from agents.models import AgentVersion
    from projects.models import Project, User

_BRIEF = (
    "Look at how invoices are rounded and say in three sentences what a reader of the code should "
    "know before touching it, and which files matter most. "
)
_PLAN = {"title": "Answer", "outcome": "report", "steps": []}


def furnish(folder: Path) -> tuple[Project, User]:
    """Create the agents, a project on the demo repository, and somebody who asks."""
    from agents.seeding import seed_agents
    from agents.workspace.demo import create_demo_repository
    from agents.workspace.git import Store
    from projects.models import Membership, Project, Role, User

    seed_agents()
    # As an admin enters it: without a price every turn would warn of that.
    ModelProfile.objects.update(usd_per_million_input=1, usd_per_million_output=4)
    repository = str(create_demo_repository(folder / "demo.git"))
    project = Project.objects.create(slug="flight", name="flight", repository=repository)
    user = User.objects.create(username="mira", first_name="Mira", last_name="Ode")
    Membership.objects.create(user=user, project=project, role=Role.REQUESTER)
    Store.of(project).fetch()
    return project, user


def prepare(project: Project, user: User, count: int, *, first: int) -> list[uuid.UUID]:
    """Create tasks at work, each with a finished plan and one step that is not due yet."""
    from agents.workspace.git import Store

    base = Store.of(project).fetch()
    agents = {agent.slug: agent for agent in Agent.objects.all()}
    coder, router = agents["coder"], agents["router"]
    with transaction.atomic():
        tasks = _tasks(project, user, count, base)
        Task.objects.bulk_create(tasks, batch_size=500)
        version, route = coder.published(), router.published()
        steps = [_step(task, first + at, coder, version) for at, task in enumerate(tasks)]
        plans = [_planned(task, router, route) for task in tasks]
        Step.objects.bulk_create([*steps, *plans], batch_size=500)
        Event.objects.bulk_create([_submitted(task) for task in tasks], batch_size=500)
        Event.objects.bulk_create([_moved(task) for task in tasks], batch_size=500)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as autovacuum would have, had the rows come one by one
    return [step.pk for step in steps]


def ring(steps: list[uuid.UUID]) -> None:
    """Make the steps due and ring the bell."""
    Step.objects.filter(pk__in=steps).update(available_at=Now())
    dispatch.ring()


def _tasks(project: Project, user: User, count: int, base: str) -> list[Task]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('agents_task_number') FROM generate_series(1, %s)", [count])
        numbers = [row[0] for row in cursor.fetchall()]
    facts: dict[str, Any] = {"limits": Limits().as_json(), "model": "openai:stub"}
    facts |= {"state": TaskState.WORKING, "base_commit": base, "last_seq": 2}
    return [
        Task(
            number=number,
            project=project,
            requester=user,
            request=_BRIEF * 3,
            title="Answer",
            request_digest="0" * 64,
            started_at=timezone.now(),
            **facts,
        )
        for number in numbers
    ]


def _step(task: Task, number: int, agent: Agent, version: AgentVersion) -> Step:
    return Step(
        task=task,
        project_id=task.project_id,
        key="answer",
        agent=agent,
        version=version,
        title=f"Answer flight-{number}",
        instructions=_BRIEF * 2,
        state=StepState.READY,
        available_at=timezone.now() + timedelta(days=1),
    )


def _planned(task: Task, agent: Agent, version: AgentVersion) -> Step:
    return Step(
        task=task,
        project_id=task.project_id,
        key="route",
        kind=StepKind.ROUTE,
        agent=agent,
        version=version,
        title="Plan the work",
        state=StepState.DONE,
        result=_PLAN,
        attempt=1,
        finished_at=timezone.now(),
    )


def _submitted(task: Task) -> Event:
    return Event(task=task, seq=1, kind="task.submitted", data={"state": "queued"})


def _moved(task: Task) -> Event:
    return Event(task=task, seq=2, kind="task.state", data={"from": "planning", "state": "working"})
