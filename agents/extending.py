"""Adds the steps a specialist found to be needed as well, before anything is proposed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from agents import dispatch, fan_in, planning
from agents.events import Kind
from agents.lifecycle import StepKind, StepState
from agents.limits import Limits
from agents.models import Step, StepDependency
from agents.models.delegations import MAX_DEPTH
from projects.failpoints import failpoint
from projects.inserting import insert_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agents.messages import StepResult


def problems(result: StepResult, step: Step) -> list[str]:
    """Return why extra steps cannot be added, as sentences their author can act on; reads rows."""
    if not result.extra_steps:
        return []
    if result.status == "blocked":
        return ["A blocked step adds no steps: leave extra_steps empty, or report done."]
    return [*_of_the_number(result, step), *planning.step_problems(result.extra_steps, step.task)]


def add(step: Step, result: StepResult, dependents: Sequence[Step]) -> None:
    """Make the extra steps of a finished step; the proposal waits for them.

    They begin with the files their asker left. In the caller's transaction, with the step, its
    dependents and the task locked, without `problems`, before the dependents are counted down.
    """
    if not result.extra_steps:
        return
    (last,) = (each for each in dependents if each.kind == StepKind.ASSEMBLE)
    versions = planning.specialists(step.task)
    made: dict[str, Step] = {}
    for each in result.extra_steps:
        made[each.id] = planning.step_of(step.task, each, versions[each.agent])
        made[each.id].asked_by, made[each.id].depth = step, step.depth + 1
    insert_all(list(made.values()))
    edges = [(one, step) for one in made.values()]
    edges += [(made[e.id], made[n]) for e in result.extra_steps for n in set(e.depends_on)]
    StepDependency.objects.bulk_create(StepDependency(step=a, needs=b) for a, b in edges)
    fan_in.count_up(last, made.values())
    failpoint("steps.added")
    for each in result.extra_steps:
        facts = {**planning.listed(each), "asked_by": step.key, "by": step.agent.slug}
        step.task.record(Kind.STEP_ADDED, {**facts, "depth": step.depth + 1}, step=made[each.id])
    transaction.on_commit(dispatch.ring, robust=True)


def _of_the_number(result: StepResult, step: Step) -> Iterator[str]:
    last = step.dependents.filter(step__kind=StepKind.ASSEMBLE, step__state=StepState.WAITING)
    if not last.exists():
        yield "Nothing waits for your step, so none can be added."
    if step.depth >= MAX_DEPTH:
        yield "Your step was itself added for an added step; it may add no more."
    taken = set(step.task.steps.values_list("key", flat=True))
    for each in result.extra_steps:
        if each.id in taken:
            yield f"Step {each.id}: this id is taken in this task; choose another."
    most, now = Limits.frozen(step.task.limits).steps, planning.work_keys(step.task)
    if len(now) + len(result.extra_steps) > most:
        left = max(0, most - len(now))
        yield f"This task has {len(now)} of at most {most} steps; you may add {left}."
