"""Lets an agent bring conflicting work together: once unasked, then when a person says so.

The files it gets hold both versions between conflict marks, as git writes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models.functions import Now

from agents import attempts, dispatch, planning
from agents.events import Kind
from agents.lifecycle import AttemptState, EscalationState, StepKind, StepState, TaskState
from agents.models import Escalation, Hunk, Step, StepDependency, Task
from agents.models.tasks import Rule
from projects.exceptions import CountersignError

if TYPE_CHECKING:
    from collections.abc import Collection

KEY = "reconcile"
_WHAT = (
    "Work that was done side by side changes the same lines. Both versions are in the files, between "
    "lines that begin with <<<<<<<, ======= and >>>>>>>. Make of each place one version that keeps "
    "what both wanted, remove every such line, and change nothing else. Where no such "
    "line is left, do only what people ask for. Files: {files}."
)


def may_try(step: Step, rule: str) -> bool:
    """Tell whether an assemble step's conflict goes to an agent before a person is asked.

    Once for each version: not what an agent has brought together just now, for main may move faster
    than agents work. And not in a rehearsal, whose script knows no conflict.
    """
    if rule != Rule.CONFLICT or step.kind != StepKind.ASSEMBLE or step.task.rehearsal:
        return False
    tried = StepDependency.objects.filter(step=step, needs__key__startswith=KEY)
    return not tried.exists() and bool(planning.done_work(step.task))


def try_once(step: Step, evidence: dict[str, Any]) -> None:
    """Let an agent resolve the conflict that a leased assemble step met.

    In the caller's transaction, with the step and its task locked.
    """
    attempts.close(step, AttemptState.RELEASED, error="The work conflicts.")
    task = step.task
    reconcile(task, step, evidence)
    if task.state == TaskState.NEEDS_HUMAN:  # something else was asked meanwhile
        Task.objects.filter(pk=task.pk).update(state_before_human=TaskState.WORKING)
    elif task.state != TaskState.WORKING:
        task.move(TaskState.WORKING, data={"why": "conflict"})
    transaction.on_commit(dispatch.ring, robust=True)


def reconcile(task: Task, step: Step, evidence: dict[str, Any]) -> None:
    """Open a step that resolves the conflict an assemble step met, and assemble after it.

    It goes to who wrote what conflicts: aggregators may read, not write. In the caller's
    transaction, with the step locked.
    """
    files = [str(path) for path in evidence.get("files", [])]
    author = _author(task, evidence.get("step", ""), files)
    step.task = task
    step.move(StepState.CANCELLED, reason="The conflict is resolved in a step of its own.")
    made = Step.objects.create(
        task=task,
        round=task.round,
        key=_free_key(task, KEY),
        kind=StepKind.WORK,
        agent_id=author.agent_id,
        version_id=author.version_id,
        title="Bring the changes together",
        instructions=_WHAT.format(files=", ".join(files)),
        acceptance="No conflict mark is left in any file.",
        files=files,
        state=StepState.READY,
        available_at=Now(),
    )
    last = planning.assemble_step(task, waits=1, key=_free_key(task, planning.ASSEMBLE))
    last.feedback = step.feedback
    last.save(force_insert=True)
    leaves = [StepDependency(step=made, needs=need) for need in step.needs.all()]
    StepDependency.objects.bulk_create([*leaves, StepDependency(step=last, needs=made)])
    facts = {"key": made.key, "agent": author.agent.slug, "title": made.title}
    task.record(Kind.STEP_ADDED, {**facts, "conflict": files}, step=made)


def told_of_conflict(step: Step, escalation: Escalation) -> list[dict[str, Any]]:
    """Return the feedback of a work step with a word on the marks in its files."""
    files = ", ".join(str(path) for path in escalation.evidence.get("files", []))
    told = {"note": _WHAT.format(files=files), "path": "", "hunk": "", "by": "Countersign"}
    return [*step.feedback, {**told, "round": step.round}]


def may_hold_marks(step: Step) -> bool:
    """Tell whether this step is to resolve a conflict, so that it may begin with one."""
    answered = Escalation.objects.filter(
        step=step, rule=Rule.CONFLICT, state=EscalationState.RESOLVED
    )
    return step.key.startswith(KEY) or answered.exists()


def _author(task: Task, key: str, files: Collection[str]) -> Step:
    """Return the step of this key, else who last wrote these files, else who finished last."""
    done = planning.done_work(task)
    if not done:
        raise CountersignError(
            "No step of this task is finished, so there is nothing to reconcile."
        )
    wrote = Hunk.objects.filter(file__proposal__task=task, file__path__in=files)
    last = wrote.exclude(author_step=None).order_by("-file__proposal", "-id").first()
    mine = [step for step in done if step.key == key or (last and step.pk == last.author_step_id)]
    return next((step for step in mine if step.key == key), (mine or done)[-1])


def _free_key(task: Task, key: str) -> str:
    count = task.steps.filter(round=task.round, key__startswith=key).count()
    return f"{key}-{count + 1}" if count else key
