"""Checks a plan against who may work on the task, and turns it into steps."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.db.models.functions import Now

from agents import colleagues, storable
from agents.branches import branch
from agents.events import Kind
from agents.lifecycle import StepKind, StepState, TaskState
from agents.limits import Limits
from agents.messages import StatedClaim
from agents.models import AgentRole, AgentVersion, Step, StepDependency
from projects.exceptions import CountersignError
from projects.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from agents.colleagues import Colleague
    from agents.messages import Plan, PlanStep
    from agents.models import Task
    from agents.writing import Writes

ROUTE = "route"
ASSEMBLE = "assemble"
EDITED = f"{ASSEMBLE}-edit"  # and a number: it puts up what a person edited
ASKED = "asked-"  # and a number: an answer to another agent
_OURS = (ASSEMBLE, "reconcile", ASKED)  # keys of steps that no plan makes


class Staff:
    """The agents that may be given steps: those given, or read when first asked for, and then once."""

    def __init__(self, known: list[Colleague] | None = None) -> None:
        self._given = known

    @cached_property
    def _known(self) -> list[Colleague]:
        return colleagues.in_use() if self._given is None else self._given

    @property
    def specialists(self) -> list[Colleague]:
        """Every enabled specialist, by slug."""
        return [each for each in self._known if each.specialist]

    @property
    def aggregator(self) -> Colleague:
        """Who makes proposals; raises CountersignError when no such agent is enabled."""
        for each in self._known:
            if not each.specialist:
                return each
        raise CountersignError(
            "No aggregator agent is enabled, so no proposal can be made. Ask an admin to enable one."
        )

    def of(self, task: Task) -> dict[str, Colleague]:
        """Return the specialists this task may use, by slug."""
        return {each.slug: each for each in self.specialists if may_use(task, each.slug)}


def specialists(task: Task) -> dict[str, AgentVersion]:
    """Return the published versions of the agents this task may use, by slug."""
    versions = AgentVersion.objects.in_use(AgentRole.SPECIALIST)
    return {each.agent.slug: each for each in versions if may_use(task, each.agent.slug)}


def may_use(task: Task, agent: str) -> bool:
    """Tell whether the requester lets this agent work on the task."""
    return not task.requested_agents or agent in task.requested_agents


def problems(plan: Plan, task: Task, staff: Staff | None = None) -> list[str]:
    """Return what is wrong with a plan, as sentences its author can act on; reads rows."""
    return [*_of_size(plan, task), *step_problems(plan.steps, task, staff)]


def step_problems(steps: Iterable[PlanStep], task: Task, staff: Staff | None = None) -> list[str]:
    """Return what is wrong with steps an agent asks for, as sentences it can act on; reads rows."""
    known = (staff or Staff()).of(task)
    names = ", ".join(sorted(known)) or "none"
    return [problem for each in steps for problem in _of_step(each, known, names)]


def apply_plan(writes: Writes, step: Step, plan: Plan, staff: Staff) -> None:
    """Turn a checked plan into steps and finish the locked route step.

    Raises TransitionRefused when the route step is no longer held.
    """
    task, versions = step.task, staff.of(step.task)
    writes.move_step(
        step,
        StepState.DONE,
        kind=Kind.STEP_FINISHED,
        data={"status": "done", "summary": f"Planned {len(plan.steps)} steps."},
        result=storable.dumped(plan),
    )
    made = {each.id: step_of(task, each, versions[each.agent]) for each in plan.steps}
    last = assemble_step(task, waits=len(made), version=staff.aggregator)
    writes.add([*made.values(), last])
    edges = [(made[each.id], made[need]) for each in plan.steps for need in set(each.depends_on)]
    edges += [(last, one) for one in made.values()]
    writes.add(StepDependency(step=a, needs=b) for a, b in edges)
    facts = {"title": storable.text(plan.title), "outcome": plan.outcome}
    task.title = facts["title"]
    listing = [listed(each) for each in plan.steps]
    writes.move_task(
        task, TaskState.WORKING, kind=Kind.TASK_PLANNED, data={**facts, "steps": listing}
    )
    failpoint("plan.applied")


def assemble_step(
    task: Task, *, waits: int, key: str = ASSEMBLE, version: Colleague | None = None
) -> Step:
    """Return the unsaved step that makes one proposal of a round."""
    version = version or Staff().aggregator
    return Step(
        task=task,
        project_id=task.project_id,
        priority=task.priority,
        round=task.round,
        key=key,
        kind=StepKind.ASSEMBLE,
        agent_id=version.agent_id,
        version_id=version.id,
        title="Make one proposal",
        state=StepState.WAITING if waits else StepState.READY,
        waits=waits,
    )


def step_of(task: Task, each: PlanStep, version: AgentVersion | Colleague) -> Step:
    """Return the unsaved step that does one sub-task in the task's round."""
    waits = len(set(each.depends_on))
    return Step(
        task=task,
        project_id=task.project_id,
        priority=task.priority,
        round=task.round,
        key=each.id,
        kind=StepKind.WORK,
        agent_id=version.agent_id,
        version_id=version.id,
        title=storable.text(each.title),
        instructions=storable.text(each.instructions),
        acceptance=storable.text(each.acceptance),
        files=storable.plain(each.files),
        state=StepState.WAITING if waits else StepState.READY,
        waits=waits,
        available_at=Now(),
    )


def listed(each: PlanStep) -> dict[str, Any]:
    """Return what an event says of a sub-task."""
    facts = {"key": each.id, "agent": each.agent, "depends_on": sorted(set(each.depends_on))}
    return {**facts, "title": storable.text(each.title)}


def plan_of(task: Task) -> dict[str, Any]:
    """Return the newest plan of a task as data, or an empty mapping."""
    route = task.steps.filter(kind=StepKind.ROUTE, state=StepState.DONE).order_by("-round").first()
    return (route.result or {}) if route else {}


def done_work(task: Task) -> list[Step]:
    """Return the finished work steps under the newest plan, oldest first, with their agents."""
    steps = task.steps.filter(
        kind=StepKind.WORK, state=StepState.DONE, round__gte=_planned_in(task)
    )
    return list(steps.select_related("agent").order_by("round", "id"))


def work_keys(task: Task) -> set[str]:
    """Return the keys of the work steps under the newest plan, left-out ones not counted."""
    work = task.steps.filter(kind=StepKind.WORK, round__gte=_planned_in(task), left_out=False)
    return {branch(key) for key in work.values_list("key", flat=True)}


def claims_of(step: Step) -> list[StatedClaim]:
    """Return what a finished work step claims."""
    stored = (step.result or {}).get("claims", [])
    return [StatedClaim.model_validate(claim) for claim in stored]


def report_of(step: Step) -> str:
    """Return the report a finished work step wrote, or an empty text."""
    return str((step.result or {}).get("report", ""))


def _planned_in(task: Task) -> int:
    """Return the round of the newest plan."""
    newest = task.steps.filter(kind=StepKind.ROUTE).order_by("-round").first()
    return newest.round if newest else 1


def _of_size(plan: Plan, task: Task) -> Iterator[str]:
    most = Limits.frozen(task.limits).steps
    if len(plan.steps) > most:
        yield f"The plan has {len(plan.steps)} steps; this task allows at most {most}."


def _of_step(each: PlanStep, known: Container[str], names: str) -> Iterator[str]:
    if each.agent not in known:
        yield f"Step {each.id}: there is no agent {each.agent!r} for this task; use {names}."
    if each.id == ROUTE or each.id.startswith(_OURS):
        yield f"Step {each.id}: this id is taken by Countersign itself; choose another."
    for path in each.files:
        if path.startswith("/") or ".." in path.split("/"):
            yield f"Step {each.id}: {path!r} is not a path inside the repository."
