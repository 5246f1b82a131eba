"""Sends an escalated step on: with more of a limit, with a note, or to another agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now

from agents import meters, reconciling
from agents.escalations.offering import EXTRA
from agents.lifecycle import StepKind, StepState, TaskState
from agents.limits import Limits, task_trip
from agents.models import Step, Task
from agents.models.tasks import Choice, Rule

if TYPE_CHECKING:
    from agents.models import AgentVersion, Escalation

_MODEL_RULES = frozenset(
    {Rule.BLOCKED, Rule.MODEL_UNREACHABLE, Rule.MODEL_REFUSED, Rule.MODEL_OVERLOADED}
)
_TOLD = 1_000  # characters of what happened, for who gets the step next


def try_again(escalation: Escalation, task: Task, step: Step | None) -> TaskState | None:
    """Let the step go on, with more of the limit if that was chosen; an agent it asked comes first.

    Returns where the task goes on when that is not where it was.
    """
    if escalation.choice == Choice.RAISE_LIMIT_ONCE:
        _raise_limit(escalation, task, step)
    if step is None:
        return None
    if escalation.rule == Rule.CONFLICT and step.kind == StepKind.ASSEMBLE:
        reconciling.reconcile(task, step, escalation.evidence)
        return TaskState.WORKING
    to = StepState.WAITING if step.waits else StepState.READY
    step.move(to, available_at=Now(), reason="", **_told(step, escalation))
    return None


def reassign(step: Step, version: AgentVersion, escalation: Escalation) -> None:
    """Give the step to another agent: its own instructions, a conversation of its own.

    The step keeps the commit it began with; what the one before it edited is not taken over.
    """
    feedback = _told(step, escalation).get("feedback", step.feedback)
    why = f"{step.agent.name} did not finish this step: {escalation.detail[:_TOLD]}"
    told = {"note": why, "path": "", "hunk": "", "by": "Countersign", "round": step.round}
    step.move(
        StepState.READY,
        data={"agent": version.agent.slug, "name": version.agent.name, "why": "reassigned"},
        agent=version.agent,
        version=version,
        feedback=[*feedback, told],
        available_at=Now(),
        reason="",
        # Granted to the agent before, on the scale of its limits.
        extra_turns=0,
        extra_seconds=0,
        extra_tokens=0,
    )


def thinks_now(escalation: Escalation, task: Task, step: Step | None) -> bool:
    """Take up a model that was configured since; tell whether a rehearsal became real thinking.

    Not where a person was asked of a call: that is no word about the model.
    """
    if escalation.evidence.get("calls"):
        return False
    model = settings.COUNTERSIGN_MODEL
    again = escalation.choice in {Choice.RAISE_LIMIT_ONCE, Choice.RETRY_WITH_NOTE}
    if not again or escalation.rule not in _MODEL_RULES or model in {task.model, "rehearsal"}:
        return False
    rehearsed, task.model = task.rehearsal, model
    Task.objects.filter(pk=task.pk).update(model=model)
    return rehearsed and step is not None and step.kind == StepKind.WORK


def _told(step: Step, escalation: Escalation) -> dict[str, Any]:
    if escalation.rule != Rule.CONFLICT:
        return {}
    return {"feedback": reconciling.told_of_conflict(step, escalation)}


def _raise_limit(escalation: Escalation, task: Task, step: Step | None) -> None:
    """Give once more what the task was given or, when the task has enough, what the step was.

    Of a rule without such a counter the answered escalation itself is what its breaker counts.
    """
    rule = Rule(escalation.rule)
    if rule not in EXTRA:
        return
    used_up = _of_task(escalation, task)
    if used_up is not None and rule != Rule.MAX_TURNS:
        name, more = used_up
        task.limits = {**task.limits, name: more if name == "usd" else int(more)}
        Task.objects.filter(pk=task.pk).update(limits=task.limits)
    elif step is not None:
        extra, given = EXTRA[rule]
        amount = getattr(step.version, given)
        Step.objects.filter(pk=step.pk).update(**{extra: F(extra) + amount})


def _of_task(escalation: Escalation, task: Task) -> tuple[str, float] | None:
    """Return the task's limit that was reached and what it becomes; None: it was the step's.

    A call that would not fit any more trips before the limit is used up, so its evidence says which.
    """
    told = escalation.evidence
    limits = Limits.frozen(task.limits)
    if told.get("scope") == "step":
        return None
    if told.get("scope") == "task" and told.get("name") in {"tokens", "usd"}:
        limit = getattr(limits, told["name"])
        return told["name"], limit + max(limit, told.get("observed", 0))
    now = meters.used(task)
    trip = task_trip(limits, tokens=now.tokens, usd=now.usd, seconds=now.seconds)
    return (trip.name, trip.limit + trip.used) if trip else None
