"""Opens the next round after "request changes", proposes anew on a moved main, plans anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce, Now

from agents import asking, branches, dispatch, planning, stopping
from agents.events import Kind
from agents.lifecycle import StepKind, StepState, TaskState
from agents.limits import Limits
from agents.models import Agent, Step, StepDependency, Task
from projects.exceptions import CountersignError, InvalidInput
from projects.failpoints import failpoint

if TYPE_CHECKING:
    import uuid

    from django.db.models import QuerySet

    from agents.models import Hunk
    from projects.models import User


class RoundsExhausted(CountersignError):
    """All rounds of this task are used. Approve, reject, or ask for the rest as a new task."""


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """What one reviewer asks of one agent; an empty slug means everybody who worked."""

    agent_slug: str
    note: str
    hunk: Hunk | None = None
    path: str = ""
    by: str = ""
    place: str = ""  # which line of the hunk it is about, in words
    line: str = ""  # what stands there
    at: int | None = None  # its row in the hunk's text; none: it is about all of the hunk
    comment: str = ""  # the id of what the reviewer wrote, so that an answer finds it


def may_open_next(task: Task) -> bool:
    """Tell whether the frozen limits leave another round."""
    return task.round < Limits.frozen(task.limits).rounds


def reachable(task: uuid.UUID) -> QuerySet[Agent]:
    """Return the agents of which a next round of this task can ask something: `_addressees` finds them."""
    steps = Step.objects.filter(task=task)
    planned = steps.filter(kind=StepKind.ROUTE).order_by("-round").values("round")[:1]
    work = steps.filter(kind=StepKind.WORK, state=StepState.DONE, round__gte=Coalesce(planned, 1))
    last = steps.filter(kind=StepKind.ASSEMBLE).order_by("-round", "-id")[:1]
    found = Q(pk__in=work.order_by().values("agent")) | Q(pk__in=last.values("agent"))
    return Agent.objects.filter(found).order_by()


def open_next(task: Task, *, feedback: list[Feedback], by: User) -> None:
    """Send work back: steps only for the agents named, then one assemble step.

    Runs in the caller's transaction. Raises RoundsExhausted, InvalidInput, TransitionRefused.
    """
    if not may_open_next(task):
        raise RoundsExhausted
    if not feedback:
        raise InvalidInput("note", "Say what should change; without a word nobody can act on it.")
    with transaction.atomic():
        asked = _asked(task, feedback)
        before = {old.pk: old for old in Step.objects.filter(pk__in=[pk for pk in asked if pk])}
        task.move(
            TaskState.WORKING,
            kind=Kind.ROUND_STARTED,
            data={
                "round": task.round + 1,
                "by": by.display_name,
                "steps": [old.key for old in before.values()],
            },
            round=task.round + 1,
        )
        made = {pk: _again(task, old, asked[pk]) for pk, old in before.items()}
        _link(task, made, asked.get(None, []))
        failpoint("round.opened")
        transaction.on_commit(dispatch.ring, robust=True)


def propose_again(task: Task, *, by: User | None) -> None:
    """Assemble the same round anew on the main of now; the proposal gets its next version.

    Runs in the caller's transaction. Raises TransitionRefused unless the task is in review.
    """
    with transaction.atomic():
        who = by.display_name if by else "Countersign"
        task.move(TaskState.WORKING, data={"why": "main moved", "round": task.round, "by": who})
        count = task.steps.filter(round=task.round, kind=StepKind.ASSEMBLE).count()
        planning.assemble_step(task, waits=0, key=f"{planning.ASSEMBLE}-{count + 1}").save()
        transaction.on_commit(dispatch.ring, robust=True)


def plan_again(task: Task, *, by: User) -> None:
    """Throw the plan away and route the request anew in a round of its own.

    The round is added to the limit: no reviewer has used it. Caller's transaction.
    """
    stopping.cancel_steps(task)
    stopping.close_escalations(task, by=by, reason="The request is planned anew.")
    old = task.steps.filter(kind=StepKind.ROUTE).order_by("-round").first()
    if old is None:
        raise CountersignError("This task was never routed, so it cannot be planned again.")
    version = old.agent.published() or old.version
    limits = {**task.limits, "rounds": Limits.frozen(task.limits).rounds + 1}
    task.move(
        TaskState.QUEUED,
        data={"round": task.round + 1},
        round=task.round + 1,
        limits=limits,
        state_before_human="",
    )
    Step.objects.create(
        task=task,
        round=task.round,
        key=planning.ROUTE,
        kind=StepKind.ROUTE,
        agent=old.agent,
        version=version,
        title=old.title,
        state=StepState.READY,
    )


def _asked(task: Task, feedback: list[Feedback]) -> dict[uuid.UUID | None, list[dict[str, Any]]]:
    """Return the feedback by the step it goes to; None is the aggregator."""
    newest = branches.newest(planning.done_work(task))
    asked: dict[uuid.UUID | None, list[Feedback]] = {}
    for one in feedback:
        for pk in _addressees(task, one, newest):
            asked.setdefault(pk, []).append(one)
    names: dict[uuid.UUID | None, str] = {step.pk: step.agent.name for step in newest.values()}
    return {
        pk: asking.kept(ones, of=names.get(pk, "the aggregator"), round_number=task.round)
        for pk, ones in asked.items()
    }


def _addressees(task: Task, one: Feedback, newest: dict[str, Step]) -> list[uuid.UUID | None]:
    author = one.hunk.author_step if one.hunk else None
    key = branches.branch(author.key) if author else ""
    if author is not None and key in newest and author.agent.slug == one.agent_slug:
        return [newest[key].pk]
    mine = [step.pk for step in newest.values() if one.agent_slug in {"", step.agent.slug}]
    if mine:
        return [*mine]
    last = task.steps.filter(kind=StepKind.ASSEMBLE).select_related("agent").last()
    if last is not None and last.agent.slug == one.agent_slug:
        return [None]
    raise InvalidInput(
        "note", f"The agent {one.agent_slug!a} did no step of this task. Choose one that did."
    )


def _again(task: Task, old: Step, feedback: list[dict[str, Any]]) -> Step:
    return Step(
        task=task,
        project_id=task.project_id,
        priority=task.priority,
        round=task.round,
        key=branches.branch(old.key),
        kind=StepKind.WORK,
        agent_id=old.agent_id,
        version_id=old.version_id,
        title=old.title,
        instructions=old.instructions,
        acceptance=old.acceptance,
        files=old.files,
        feedback=feedback,
        state=StepState.WAITING,
        available_at=Now(),
    )


def _link(task: Task, made: dict[uuid.UUID, Step], to_aggregator: list[dict[str, Any]]) -> None:
    """Save the new steps; among themselves they keep the order of the plan."""
    last = planning.assemble_step(task, waits=len(made))
    last.feedback = to_aggregator
    edges = [(last, step) for step in made.values()]
    by_key = {step.key: step for step in made.values()}
    for key, step in by_key.items():
        of_plan = task.steps.filter(branches.is_of(key))
        needs = StepDependency.objects.filter(step__in=of_plan, needs__kind=StepKind.WORK)
        keys = {branches.branch(need) for need in needs.values_list("needs__key", flat=True)}
        mine = [(step, by_key[need]) for need in sorted(keys - {key}) if need in by_key]
        step.waits = len(mine)
        step.state = StepState.WAITING if mine else StepState.READY
        edges += mine
    Step.objects.bulk_create([*by_key.values(), last])
    StepDependency.objects.bulk_create(StepDependency(step=a, needs=b) for a, b in edges)
