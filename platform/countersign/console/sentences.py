"""What a task is doing, in one sentence, and the look that goes with it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from django.db.models import Prefetch, prefetch_related_objects
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.utils import timezone

from agents.lifecycle import EscalationState, StepKind, StepState, TaskState
from agents.models import Escalation, Step
from approvals import deadlines
from approvals.lifecycle import CallState, EffectState
from approvals.models import SEAL_OF_APPROVAL, CallApproval, Effect, EffectKind
from countersign.console import held, looks
from countersign.templatetags.console import duration

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence

    from django.db.models import QuerySet

    from agents.models import Agent, Hold, Task


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the rows of a list need beside their tasks and steps, read for all of them at once."""

    pauses: dict[uuid.UUID, Hold]
    questions: dict[uuid.UUID, list[Escalation]]
    effects: dict[uuid.UUID, Any]  # with `may_be_undone` where that was asked for
    calls: dict[uuid.UUID, str] = field(default_factory=dict)  # the tool an agent asks to use

    @classmethod
    def read(cls, tasks: Sequence[Task], *, windows: bool = False) -> Facts:
        """Read it, with undo windows if they matter; what no task of these can have is not asked for."""
        stopped = [task.pk for task in tasks if task.state == TaskState.NEEDS_HUMAN]
        carried = [task.pk for task in tasks if task.state in _CARRIED]
        questions: dict[uuid.UUID, list[Escalation]] = {}
        if stopped:
            found = Escalation.objects.filter(task__in=stopped, state=EscalationState.OPEN)
            for row in found.select_related("step__agent").order_by("raised_at"):
                questions.setdefault(row.task_id, []).append(row)
        return cls(
            pauses=held.over_each(tasks),
            questions=questions,
            effects=_last_effects(carried, windows=windows) if carried else {},
            calls=_tools([pk for pk in stopped if pk not in questions]),
        )


_CARRIED = (TaskState.EXECUTING, TaskState.DONE)


def _tools(tasks: list[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Return the tool that each of these tasks asks to use; nearly always none does."""
    if not tasks:
        return {}
    rows = CallApproval.objects.filter(task__in=tasks, state=CallState.PENDING)
    tool = KeyTextTransform("tool", KeyTransform("call", "snapshot"))
    return dict(rows.order_by("-id").values_list("task", tool))


def _last_effects(tasks: list[uuid.UUID], *, windows: bool) -> dict[uuid.UUID, Any]:
    found: QuerySet[Any] = Effect.objects.filter(approval__task__in=tasks)
    found = found.select_related("approval")
    if windows:
        found = deadlines.with_window(found)
    newest = found.order_by("approval__task", "-approval__id", "-position")
    rows = newest.distinct("approval__task").defer("arguments", *SEAL_OF_APPROVAL)
    return {row.approval.task_id: row for row in rows}


@dataclass(frozen=True, kw_only=True)
class TaskRow:
    """A task in a list."""

    task: Task
    look: looks.Look
    sentence: str
    agents: list[Agent]
    running: bool
    undoable: uuid.UUID | None = None  # the approval who looks may undo still


def task_rows(tasks: Sequence[Task], *, led: Collection[uuid.UUID] = ()) -> list[TaskRow]:
    """Return tasks as lists show them; loads their steps and agents, without the long texts.

    Those of projects who looks is tech lead of, `led`, with what they may undo.
    """
    steps = Step.objects.select_related("agent").only(*_OF_STEP, *_OF_AGENT).order_by("id")
    prefetch_related_objects(tasks, Prefetch("steps", steps))
    facts = Facts.read(tasks, windows=bool(led))
    return [
        replace(row, undoable=_undoable(row.task, facts) if row.task.project_id in led else None)
        for row in (_task_row(task, facts) for task in tasks)
    ]


def _undoable(task: Task, facts: Facts) -> uuid.UUID | None:
    effect = facts.effects.get(task.pk)
    return effect.approval_id if effect is not None and effect.may_be_undone else None


# No list shows them.
LONG = ("request", "context", "requested_agents", "limits")
_OF_STEP = ("task", "kind", "state", "title")
_OF_AGENT = ("agent__slug", "agent__name", "agent__colour", "agent__icon")


def _task_row(task: Task, facts: Facts) -> TaskRow:
    steps = list(task.steps.all())
    work = [step for step in steps if step.kind == StepKind.WORK]
    look, sentence = _list_words(task, steps, facts)
    return TaskRow(
        task=task,
        look=look,
        sentence=sentence,
        agents=list({step.agent_id: step.agent for step in work}.values()),
        running=not task.over,
    )


def _list_words(task: Task, steps: Sequence[Step], facts: Facts) -> tuple[looks.Look, str]:
    hold = facts.pauses.get(task.pk)
    if hold and not held.beside(task):
        return held.look(hold), hold.reason
    look, sentence = (
        looks.of_task(task, word=_list_word(task, facts)),
        sentence_of(task, steps, facts),
    )
    return look, f"{held.look(hold).word}. {sentence}" if hold else sentence


def _list_word(task: Task, facts: Facts) -> str:
    """Return a word short enough for a list; the sentence beside it says why a task stopped."""
    return "" if task.state == TaskState.NEEDS_HUMAN else _word(task, facts.effects.get(task.pk))


def word_of(task: Task, questions: Sequence[Escalation], effect: Effect | None) -> str:
    """Return the state in the words of this task, or nothing when the plain word will do."""
    if task.state == TaskState.NEEDS_HUMAN:
        return f"Stopped: {questions[0].get_rule_display().lower()}" if questions else ""
    return _word(task, effect)


def word_now(task: Task) -> str:
    """Read what the word of this task needs, and return it."""
    stopped, carried = task.state == TaskState.NEEDS_HUMAN, task.state in _CARRIED
    questions = list(open_escalations(task)) if stopped else []
    return word_of(task, questions, last_effect(task) if carried else None)


def _word(task: Task, effect: Effect | None) -> str:
    match task.state:
        case TaskState.WORKING:
            running = sum(step.state == StepState.LEASED for step in task.steps.all())
            return f"Running, {running} agents" if running > 1 else "Running"
        case TaskState.EXECUTING:
            return _executing(effect)
        case TaskState.DONE:
            return _done(effect)
    return ""


def sentence_of(task: Task, steps: Sequence[Step], facts: Facts) -> str:
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
            return _asked(facts.questions.get(task.pk, []), facts.calls.get(task.pk, ""))
        case TaskState.REJECTED | TaskState.FAILED | TaskState.CANCELLED:
            return task.reason
        case TaskState.DONE:
            return "Everything was carried out."
    waiting = [step for step in steps if step.state == StepState.READY]
    return f"{waiting[0].agent.name} begins in a moment." if waiting else ""


def call_of(task: Task, questions: Sequence[Escalation]) -> str:
    """Return what a screen reader says at once, because the task now waits for people or is over."""
    if task.state == TaskState.REVIEW:
        return f"{task.label}: round {task.round} is ready for review."
    if task.state == TaskState.NEEDS_HUMAN:
        return f"{task.label} stopped: {_asked(questions)}"
    return f"{task.label}: {task.get_state_display().lower()}." if task.over else ""


def _asked(questions: Sequence[Escalation], tool: str = "") -> str:
    """Say in a list's line who stopped and why; the page says the rest."""
    if not questions and tool:
        return f"An agent asks to use {tool}."
    if not questions:
        return "A person must say how to go on."
    first, more = questions[0], len(questions) - 1
    label = first.get_rule_display()
    said = f"{first.step.agent.name} stopped: {label.lower()}" if first.step else label
    return f"{said}, and {more} more" if more else f"{said}."


def open_escalations(task: Task) -> QuerySet[Escalation]:
    """Return every question this task waits on, oldest first."""
    found = Escalation.objects.filter(task=task, state=EscalationState.OPEN)
    return found.select_related("step__agent").order_by("raised_at")


def last_effect(task: Task) -> Effect | None:
    """Return the newest thing done, or to be done, to the outside world for this task."""
    return (
        Effect.objects.filter(approval__task=task)
        .select_related("approval")
        .defer(*SEAL_OF_APPROVAL)
        .order_by("-approval__id", "-position")
        .first()
    )


def _executing(effect: Effect | None) -> str:
    if effect is None or effect.state != EffectState.PLANNED:
        return "Carrying out"
    left = (effect.not_before - timezone.now()).total_seconds()
    return f"Approved, carries out in {duration(round(left))}" if left > 0 else "Carrying out"


def _done(effect: Effect | None) -> str:
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
