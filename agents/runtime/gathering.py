"""Reads what many steps begin with in a handful of statements, however many begin together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import Count

from agents import clocks, grants, materials, planning
from agents.lifecycle import StepKind, StepState
from agents.models import Delegation, Proposal, Step

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence

    from agents.grants import Granted, Grants
    from agents.materials import Material
    from agents.models import AgentVersion, Task

# Rows are locked in the order every other transaction locks them; fenced by the attempt number.
_KEEP_BASES = """
WITH mine AS (
    SELECT step.id, given.base
    FROM unnest(%s::uuid[], %s::int[], %s::text[]) AS given(id, attempt, base)
    JOIN agents_step step ON step.id = given.id AND step.attempt = given.attempt
    WHERE step.state = 'leased' ORDER BY step.id FOR NO KEY UPDATE OF step
)
UPDATE agents_step step SET base_commit = mine.base FROM mine WHERE step.id = mine.id
"""

_KEEP_TASKS_BASES = """
WITH mine AS (
    SELECT task.id, given.base FROM unnest(%s::uuid[], %s::text[]) AS given(id, base)
    JOIN agents_task task ON task.id = given.id ORDER BY task.id FOR NO KEY UPDATE OF task
)
UPDATE agents_task task SET base_commit = mine.base FROM mine WHERE task.id = mine.id
"""


@dataclass(frozen=True, kw_only=True)
class Roster:
    """The agents as they are set up at this moment."""

    known: list[AgentVersion]  # the specialists' versions in use
    grants: Grants

    @classmethod
    def read(cls) -> Roster:
        """Read it; two statements."""
        return cls(known=planning.Staff().specialists, grants=grants.granted())

    def specialists(self, task: Task) -> list[AgentVersion]:
        """Return those a task may use, by slug."""
        return [each for each in self.known if planning.may_use(task, each)]

    def granted(self, agent: uuid.UUID) -> list[Granted]:
        """Return what an agent may use, by name."""
        return self.grants.get(agent, [])


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What the rows say of steps that begin together and of their tasks."""

    roster: Roster
    seconds: dict[uuid.UUID, float]  # by task: how long it was at work
    questions: dict[uuid.UUID, int]  # by task: put by one agent to another so far
    plans: dict[uuid.UUID, dict[str, Any]]  # by task
    needs: dict[uuid.UUID, list[Step]]  # by step, with their agents
    proposed: set[uuid.UUID]  # tasks that had a change proposed
    materials: dict[uuid.UUID, Material]  # by assemble step


def gather(steps: Collection[Step]) -> Gathered:
    """Read it; the number of statements does not grow with the number of steps."""
    tasks = {step.task_id for step in steps}
    needs = materials.needs_of(steps)
    making = [step for step in steps if step.kind == StepKind.ASSEMBLE]
    proposals = Proposal.objects.filter(task__in=tasks).exclude(head_commit="")
    return Gathered(
        roster=Roster.read(),
        seconds=clocks.seconds_of(tasks),
        questions=_questions(tasks),
        plans=_plans(tasks),
        needs=needs,
        materials=materials.gather_all(making, needs),
        proposed=set(proposals.values_list("task", flat=True)),
    )


def keep_bases(bases: Sequence[tuple[Step, str]]) -> None:
    """Write the commits that steps begin with; a step whose attempt was lost is left alone."""
    if not bases:
        return
    columns: list[list[Any]] = [
        [step.pk for step, _ in bases],
        [step.attempt for step, _ in bases],
        [base for _, base in bases],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_KEEP_BASES, columns)
    for step, base in bases:
        step.base_commit = base


def keep_tasks_bases(bases: Sequence[tuple[Task, str]]) -> None:
    """Write the commits of main that tasks begin with."""
    with connection.cursor() as cursor:
        cursor.execute(_KEEP_TASKS_BASES, [[t.pk for t, _ in bases], [base for _, base in bases]])
    for task, base in bases:
        task.base_commit = base


def _questions(tasks: Collection[uuid.UUID]) -> dict[uuid.UUID, int]:
    asked = Delegation.objects.filter(task__in=tasks).order_by().values_list("task")
    return dict(asked.annotate(Count("pk")))


def _plans(tasks: Collection[uuid.UUID]) -> dict[uuid.UUID, dict[str, Any]]:
    routes = Step.objects.filter(task__in=tasks, kind=StepKind.ROUTE, state=StepState.DONE)
    newest = routes.order_by("task_id", "-round").distinct("task_id")
    return {task: plan or {} for task, plan in newest.values_list("task_id", "result")}
