"""Reads what many steps begin with in a handful of statements, however many begin together."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connection

from agents import colleagues, grants, materials, planning
from agents.lifecycle import StepKind
from memory.recall import remembers
from projects.connections import sent_together

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection, Sequence

    from agents.colleagues import Colleague
    from agents.grants import Granted, Grants
    from agents.materials import Material
    from agents.models import Step, Task

_ABOUT = """
SELECT task.id,
       (SELECT count(*) FROM agents_delegation asked WHERE asked.task_id = task.id),
       coalesce((SELECT route.result FROM agents_step route
                 WHERE route.task_id = task.id AND route.kind = 'route' AND route.state = 'done'
                 ORDER BY route.round DESC LIMIT 1), '{}')::text,
       EXISTS (SELECT FROM agents_proposal made
               WHERE made.task_id = task.id AND made.head_commit <> '')
FROM agents_task task WHERE task.id = ANY(%s)
"""
# Rows are locked in the order every other transaction locks them; fenced by the attempt number.
_KEEP_BASES = """
WITH mine AS (
    SELECT step.id, given.base
    FROM unnest(%b::uuid[], %b::int[], %b::text[]) AS given(id, attempt, base)
    JOIN agents_step step ON step.id = given.id AND step.attempt = given.attempt
    WHERE step.state = 'leased' ORDER BY step.id FOR NO KEY UPDATE OF step
)
UPDATE agents_step step SET base_commit = mine.base FROM mine WHERE step.id = mine.id
"""
_REMINDED = (StepKind.ROUTE, StepKind.WORK)


@dataclass(frozen=True, kw_only=True)
class Roster:
    """The agents as they are set up at this moment."""

    staff: planning.Staff
    grants: Grants

    @classmethod
    def ask(cls) -> Callable[[], Roster]:
        """Send the two statements and return what reads it: of several `sent_together`."""
        staff, granted = colleagues.ask_in_use(), grants.ask_granted()
        return lambda: cls(staff=planning.Staff(staff()), grants=granted())

    def specialists(self, task: Task) -> list[Colleague]:
        """Return those a task may use, by slug."""
        return list(self.staff.of(task).values())

    def granted(self, agent: uuid.UUID) -> list[Granted]:
        """Return what an agent may use, by name."""
        return self.grants.get(agent, [])


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What the rows say of steps that begin together and of their tasks."""

    roster: Roster
    reminded: set[uuid.UUID]  # steps whose agent may be reminded of something
    questions: dict[uuid.UUID, int]  # by task: put by one agent to another so far
    plans: dict[uuid.UUID, dict[str, Any]]  # by task
    needs: dict[uuid.UUID, list[Step]]  # by step, with their agents
    heads: dict[uuid.UUID, str]  # by work step: of the change its task had proposed last
    materials: dict[uuid.UUID, Material]  # by assemble step


def gather(steps: Collection[Step]) -> Gathered:
    """Read it; the number of statements does not grow with the number of steps."""
    with sent_together():
        needing = materials.ask_needs([step for step in steps if step.kind != StepKind.ROUTE])
        telling = _ask_about({step.task_id for step in steps})
        listing = Roster.ask()
    needs, about = needing(), telling()
    return Gathered(
        roster=listing(),
        reminded=_reminded(steps),
        questions={task: asked for task, (asked, _, _) in about.items()},
        plans={task: json.loads(plan) for task, (_, plan, _) in about.items()},
        needs=needs,
        materials=materials.gather_all(
            [step for step in steps if step.kind == StepKind.ASSEMBLE], needs
        ),
        heads=materials.heads_before(
            [s for s in steps if s.kind == StepKind.WORK and about[s.task_id][2]]
        ),
    )


def _ask_about(tasks: Collection[uuid.UUID]) -> Callable[[], dict[uuid.UUID, tuple[Any, ...]]]:
    cursor = connection.cursor()
    cursor.execute(_ABOUT, [list(tasks)])

    def read() -> dict[uuid.UUID, tuple[Any, ...]]:
        with cursor:
            return {row[0]: row[1:] for row in cursor.fetchall()}

    return read


def _reminded(steps: Collection[Step]) -> set[uuid.UUID]:
    """Return the steps that there may be memories for; the aggregator summarises what others did."""
    known: dict[tuple[uuid.UUID, str], bool] = {}
    found = set()
    for step in steps:
        if step.kind not in _REMINDED:
            continue
        where = step.project_id, step.agent.slug
        if where not in known:
            known[where] = remembers(step.task.project, step.agent.slug)
        if known[where]:
            found.add(step.pk)
    return found


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
