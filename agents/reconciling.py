"""Lets an agent bring conflicting work together, when a person answered a conflict with "try again".

The files it gets hold both versions between conflict marks, as git writes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models.functions import Now

from agents import planning
from agents.lifecycle import EscalationState, StepKind, StepState
from agents.models import Escalation, Step, StepDependency
from agents.models.tasks import Rule
from projects.exceptions import CountersignError

if TYPE_CHECKING:
    from agents.models import Task

KEY = "reconcile"
_WHAT = (
    "Work that was done side by side changes the same lines. Both versions are in the files, between "
    "lines that begin with <<<<<<<, ======= and >>>>>>>. Make of each place one version that keeps "
    "what both wanted, remove every such line, and change nothing else. Where no such "
    "line is left, do only what people ask for. Files: {files}."
)


def reconcile(task: Task, step: Step, escalation: Escalation) -> None:
    """Open a step that resolves the conflict an assemble step met, and assemble after it.

    In the caller's transaction, with the step locked.
    """
    author = _author(task, escalation.evidence.get("step", ""))
    files = [str(path) for path in escalation.evidence.get("files", [])]
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


def _author(task: Task, key: str) -> Step:
    done = planning.done_work(task)
    if not done:
        raise CountersignError(
            "No step of this task is finished, so there is nothing to reconcile."
        )
    return next((step for step in reversed(done) if step.key == key), done[-1])


def _free_key(task: Task, key: str) -> str:
    count = task.steps.filter(round=task.round, key__startswith=key).count()
    return f"{key}-{count + 1}" if count else key
