"""Reads what proposals are made of, in a handful of statements however many are made together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Q

from agents import branches, omissions
from agents.lifecycle import AttemptState, StepKind, StepState
from agents.models import Attempt, Proposal, Step, StepDependency
from agents.workspace.authorship import Contribution
from projects.prepared import Given, Prepared

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection, Iterable

_Needs = dict["uuid.UUID", list[Step]]  # by step, with their agents

_NEEDS = Prepared(
    lambda: (
        StepDependency.objects.filter(step__any=Given("steps"))
        .select_related("needs__agent")
        .order_by("needs_id")
    )
)
_EDGES = Prepared(
    lambda: StepDependency.objects.filter(step__any=Given("steps")).values_list("step", "needs")
)
_WORK = Q(kind=StepKind.WORK) & (Q(state=StepState.DONE) | Q(left_out=True))
_TOLD = Prepared(
    lambda: (
        Step.objects.filter(Q(kind=StepKind.ROUTE) | _WORK, task__any=Given("tasks"))
        .select_related("agent")
        .order_by("round", "id")
    )
)
_FINISHED = Prepared(
    lambda: Attempt.objects.filter(step__any=Given("steps"), state=AttemptState.FINISHED)
)
_HEADS = Prepared(
    lambda: (
        Proposal.objects.filter(task__any=Given("tasks"))
        .exclude(head_commit="")
        .order_by("round", "version")
        .values_list("task", "round", "head_commit")
    )
)


@dataclass(frozen=True, kw_only=True)
class Material:
    """The rows a proposal is made of."""

    step: Step
    outcome: str
    latest: list[Step]  # the newest finished work step of each key
    leaves: list[Step]  # whose results are merged
    contributions: list[Contribution]
    head_before: str  # of the last proposal, or empty
    left_out: list[Step]  # by a person, and not done since


@dataclass(frozen=True, kw_only=True)
class _Story:
    """The steps of a task under its newest plan, oldest first."""

    outcome: str
    done: list[Step]
    left_out: list[Step]


def gather(step: Step) -> Material:
    """Read what one assemble step has to put together."""
    return gather_all([step], needs_of([step]))[step.pk]


def gather_all(steps: Collection[Step], needs: _Needs) -> dict[uuid.UUID, Material]:
    """Read what assemble steps of different tasks have to put together; by step."""
    if not steps:
        return {}
    stories = _stories({step.task_id for step in steps})
    inner = _inner(need for step in steps for need in needs.get(step.pk, []))
    made = [one for story in stories.values() for one in story.done if _changed(one)]
    attempts = _attempts(made)
    heads = _heads({step.task_id for step in steps})
    return {
        step.pk: Material(
            step=step,
            outcome=stories[step.task_id].outcome,
            latest=list(branches.newest(stories[step.task_id].done).values()),
            leaves=_leaves(needs.get(step.pk, []), inner),
            contributions=_contributions(stories[step.task_id].done, attempts),
            head_before=_head_before(step, stories[step.task_id].done, heads),
            left_out=stories[step.task_id].left_out,
        )
        for step in steps
    }


def needs_of(steps: Collection[Step]) -> _Needs:
    """Return what each of these steps depends on, in the order of their ids."""
    return ask_needs(steps)()


def ask_needs(steps: Collection[Step]) -> Callable[[], _Needs]:
    """Send what `needs_of` sends and return what reads it: of several `sent_together`."""
    if not steps:
        return dict
    edges = _NEEDS.ask(steps=[step.pk for step in steps])

    def read() -> _Needs:
        found: _Needs = {}
        for edge in edges():
            found.setdefault(edge.step_id, []).append(edge.needs)
        return found

    return read


def heads_before(steps: Collection[Step]) -> dict[uuid.UUID, str]:
    """Return by step the head of the last proposal under its task's newest plan, or nothing."""
    if not steps:
        return {}
    tasks = {step.task_id for step in steps}
    stories, heads = _stories(tasks), _heads(tasks)
    return {step.pk: _head_before(step, stories[step.task_id].done, heads) for step in steps}


def _stories(tasks: Collection[uuid.UUID]) -> dict[uuid.UUID, _Story]:
    told: dict[uuid.UUID, list[Step]] = {task: [] for task in tasks}
    for step in _TOLD(tasks=list(tasks)):
        told[step.task_id].append(step)
    return {task: _story(steps) for task, steps in told.items()}


def _story(steps: list[Step]) -> _Story:
    routes = [step for step in steps if step.kind == StepKind.ROUTE]
    plans = [step.result or {} for step in routes if step.state == StepState.DONE]
    first = routes[-1].round if routes else 1
    work = [step for step in steps if step.kind == StepKind.WORK and step.round >= first]
    done = [step for step in work if step.state == StepState.DONE]
    return _Story(
        outcome=plans[-1].get("outcome", "change") if plans else "change",
        done=done,
        left_out=omissions.still([step for step in work if step.left_out], done),
    )


def _inner(needs: Iterable[Step]) -> dict[uuid.UUID, set[uuid.UUID]]:
    """Return by step what it builds on; of steps that left a commit."""
    made = [need.pk for need in needs if need.result_commit]
    found: dict[uuid.UUID, set[uuid.UUID]] = {}
    for step, need in _EDGES(steps=made) if made else ():
        found.setdefault(step, set()).add(need)
    return found


def _leaves(needs: list[Step], inner: dict[uuid.UUID, set[uuid.UUID]]) -> list[Step]:
    # A step that left no commit hides none: a person left it out, or took it over in words.
    made = [need for need in needs if need.result_commit]
    within = {before for need in made for before in inner.get(need.pk, ())}
    return [need for need in made if need.pk not in within]


def _changed(step: Step) -> bool:
    return step.result_commit not in {"", step.base_commit}


def _attempts(steps: Iterable[Step]) -> dict[uuid.UUID, Attempt]:
    """Return the finished attempt of each step's number."""
    numbers = {step.pk: step.attempt for step in steps}
    if not numbers:
        return {}
    finished = _FINISHED(steps=list(numbers))
    return {each.step_id: each for each in finished if each.number == numbers[each.step_id]}


def _contributions(done: list[Step], attempts: dict[uuid.UUID, Attempt]) -> list[Contribution]:
    return [
        Contribution(
            step=step,
            attempt=attempts[step.pk],
            base_commit=step.base_commit,
            result_commit=step.result_commit,
        )
        for step in sorted(done, key=lambda step: (step.round, step.finished_at))
        if step.pk in attempts
    ]


def _heads(tasks: Collection[uuid.UUID]) -> dict[uuid.UUID, tuple[int, str]]:
    """Return the round and the head of the last change proposed in each task."""
    return {task: (number, head) for task, number, head in _HEADS(tasks=list(tasks))}


def _head_before(step: Step, done: list[Step], heads: dict[uuid.UUID, tuple[int, str]]) -> str:
    number, head = heads.get(step.task_id, (0, ""))
    first = done[0].round if done else step.round
    return head if number >= first else ""
