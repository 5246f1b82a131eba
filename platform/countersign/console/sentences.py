"""What a task is doing, in one sentence, and the look that goes with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils import timezone

from agents.lifecycle import EscalationState, StepKind, StepState, TaskState
from agents.models import Escalation
from approvals.lifecycle import EffectState
from approvals.models import Effect, EffectKind
from countersign.console import held, looks
from countersign.templatetags.console import duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from agents.models import Agent, Hold, Step, Task


@dataclass(frozen=True, kw_only=True)
class TaskRow:
    """A task in a list."""

    task: Task
    look: looks.Look
    sentence: str
    agents: list[Agent]
    running: bool


def task_row(task: Task, hold: Hold | None = None) -> TaskRow:
    """Return a task as lists show it; its steps and agents must be loaded."""
    steps = [step for step in task.steps.all() if step.kind == StepKind.WORK]
    agents = list({step.agent_id: step.agent for step in steps}.values())
    return TaskRow(
        task=task,
        look=held.look(hold) if hold else looks.of_task(task, word=_list_word(task)),
        sentence=hold.reason if hold else sentence_of(task, list(task.steps.all())),
        agents=agents,
        running=not task.over,
    )


def _list_word(task: Task) -> str:
    """Return a word short enough for a list; the sentence beside it says why a task stopped."""
    return "" if task.state == TaskState.NEEDS_HUMAN else word_of(task)


def word_of(task: Task) -> str:
    """Return the state in the words of this task, or nothing when the plain word will do."""
    match task.state:
        case TaskState.WORKING:
            running = sum(step.state == StepState.LEASED for step in task.steps.all())
            return f"Running, {running} agents" if running > 1 else "Running"
        case TaskState.NEEDS_HUMAN:
            escalation = open_escalation(task)
            return f"Stopped: {escalation.get_rule_display().lower()}" if escalation else ""
        case TaskState.EXECUTING:
            return _executing(task)
        case TaskState.DONE:
            return _done(task)
    return ""


def sentence_of(task: Task, steps: Sequence[Step]) -> str:
    """Say what happens now, or how it ended."""
    now = [step for step in steps if step.state == StepState.LEASED]
    if now and task.state != TaskState.NEEDS_HUMAN:
        first = now[0]
        more = f" and {len(now) - 1} more" if len(now) > 1 else ""
        return f"{first.agent.name}: {first.title}{more}"
    match task.state:
        case TaskState.QUEUED:
            return "Accepted. The router begins in a moment."
        case TaskState.REVIEW:
            return f"Round {task.round} is ready for a tech lead."
        case TaskState.NEEDS_HUMAN:
            return _asked(list(open_escalations(task)))
        case TaskState.REJECTED | TaskState.FAILED | TaskState.CANCELLED:
            return task.reason
        case TaskState.DONE:
            return "Everything was carried out."
    waiting = [step for step in steps if step.state == StepState.READY]
    return f"{waiting[0].agent.name} begins in a moment." if waiting else ""


def call_of(task: Task) -> str:
    """Return what a screen reader says at once, because the task now waits for people or is over."""
    if task.state == TaskState.REVIEW:
        return f"{task.label}: round {task.round} is ready for review."
    if task.state == TaskState.NEEDS_HUMAN:
        return f"{task.label} stopped: {_asked(list(open_escalations(task)))}"
    return f"{task.label}: {task.get_state_display().lower()}." if task.over else ""


def _asked(questions: Sequence[Escalation]) -> str:
    """Say in a list's line who stopped and why; the page says the rest."""
    if not questions:
        return "A person must say how to go on."
    first, more = questions[0], len(questions) - 1
    label = first.get_rule_display()
    said = f"{first.step.agent.name} stopped: {label.lower()}" if first.step else label
    return f"{said}, and {more} more" if more else f"{said}."


def open_escalation(task: Task) -> Escalation | None:
    """Return the first question this task waits on."""
    return open_escalations(task).first()


def open_escalations(task: Task) -> QuerySet[Escalation]:
    """Return every question this task waits on, oldest first."""
    found = Escalation.objects.filter(task=task, state=EscalationState.OPEN)
    return found.select_related("step__agent").order_by("raised_at")


def last_effect(task: Task) -> Effect | None:
    """Return the newest thing done, or to be done, to the outside world for this task."""
    return (
        Effect.objects.filter(approval__task=task)
        .select_related("approval")
        .order_by("-approval__id", "-position")
        .first()
    )


def _executing(task: Task) -> str:
    effect = last_effect(task)
    if effect is None or effect.state != EffectState.PLANNED:
        return "Carrying out"
    left = (effect.not_before - timezone.now()).total_seconds()
    return f"Approved, carries out in {duration(round(left))}" if left > 0 else "Carrying out"


def _done(task: Task) -> str:
    effect = last_effect(task)
    if effect is None:
        return ""
    if effect.kind == EffectKind.DELIVER:
        return "Delivered"
    commit = merged_as(effect)
    return f"Merged as {commit[:7]}" if commit else "Merged"


def merged_as(effect: Effect) -> str:
    """Return the commit a merge made."""
    result = effect.result or {}
    return str(result.get("commit") or result.get("sha") or "")
