"""Puts a merged change up to be taken back: a task whose work is done when it begins."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models.functions import Now

from agents import planning, quotas, requests
from agents.events import Kind
from agents.intake import submit
from agents.lifecycle import TASK_TERMINAL, StepKind, StepState, TaskState
from agents.messages import ProposalDraft
from agents.models import Hunk, Step, StepDependency, Task
from agents.workspace.exceptions import GitFailed
from agents.workspace.git import Store
from projects.exceptions import TransitionRefused

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from agents.assembling import Assembly
    from projects.models import User

KEY = "revert"
_GONE = TASK_TERMINAL - {TaskState.DONE}  # such a revert took nothing back


def start(
    task: Task,
    *,
    commit: str,
    base: str,
    reason: str,
    by: User,
    address: str | None = None,
) -> Task:
    """Return the new task that puts main back to `base` where `commit` changed it.

    Its change is merged onto the main of now, checked and put up to be signed as any other; no model
    is asked. Locks the task. Raises TransitionRefused when it is being taken back already, or was,
    QuotaUsed when an earlier one was stopped and there is no room, and what `intake.submit` raises.
    """
    reverted = _commit(task, commit, base)
    with transaction.atomic():
        Task.objects.select_for_update(no_key=True).get(pk=task.pk)
        _refuse_second(task)
        _require_room(task, by)
        made = submit(
            project=task.project,
            requester=by,
            request="\n\n".join(filter(None, [f"Revert {task.label}: {task.title}", reason])),
            address=address,
            prepared=True,  # in need nobody waits until there is room again
        ).task
        Task.objects.filter(pk=made.pk).update(reverts=task)
        made.reverts = task
        _plan(made, _author(task), commit=commit, reverted=reverted)
    return made


def of(task: Task) -> QuerySet[Task]:
    """Return the task that takes this one back, or did: none or one."""
    return Task.objects.filter(reverts=task).exclude(state__in=_GONE)


def draft(assembly: Assembly) -> ProposalDraft | None:
    """Return what is said of a revert as it was begun; nothing of what agents changed since."""
    step = assembly.material.step
    task = step.task
    if task.reverts is None or task.round != 1 or step.feedback or not assembly.changes:
        return None
    others = [each.key for each in assembly.material.latest if each.key != KEY]
    if others:
        return None
    summary = (
        f"Takes back what {task.reverts.label} merged: its lines are again as they were before. "
        "Countersign made this from the repository's history; no model was asked."
    )
    return ProposalDraft(title=f"Revert: {task.reverts.title}"[:120], summary=summary)


def _commit(task: Task, commit: str, base: str) -> str:
    """Return a commit on top of the merge that has the files as they were before it."""
    store = Store.of(task.project)
    message = f"Revert “{task.title}”\n\nThis takes back {commit}."
    try:
        return store.commit(
            store.tree_of(base), parents=[commit], message=message, author="Countersign"
        )
    except GitFailed as error:
        raise TransitionRefused(
            "The merged commit is not in the platform's own copy of the repository any more, so "
            "nothing was prepared. Ask for the revert as a new task."
        ) from error


def _refuse_second(task: Task) -> None:
    if (already := of(task).first()) is None:
        return
    how = "took this back" if already.state == TaskState.DONE else "takes this back already"
    raise TransitionRefused(f"{already.label} {how}. Open that one.")


def _require_room(task: Task, by: User) -> None:
    """Count a revert, as any task, once one of this task was stopped: else there is no end of them."""
    if not Task.objects.filter(reverts=task).exists():
        return
    [room] = quotas.admit([requests.sender_of(by, task.project, None)])
    if room is not quotas.ROOM:
        raise room


def _plan(task: Task, first: Step, *, commit: str, reverted: str) -> None:
    """Give a new task, which nobody else sees yet, its work, done, and the step that proposes it."""
    task.steps.filter(kind=StepKind.ROUTE).delete()  # there is nothing to plan
    task.move(TaskState.PLANNING, started_at=Now())
    task.move(TaskState.WORKING, data={"why": "revert"}, base_commit=commit)
    work = _work(task, first, commit=commit, reverted=reverted)
    said = {"status": "done", "summary": work.title, "by": "Countersign"}
    task.record(Kind.STEP_FINISHED, said, step=work)
    last = planning.assemble_step(task, waits=0)
    last.save(force_insert=True)
    StepDependency.objects.create(step=last, needs=work)


def _author(task: Task) -> Step:
    """Return the step that wrote most of what is taken back."""
    hunks = Hunk.objects.filter(file__proposal__task=task).exclude(author_step=None)
    wrote = Counter(hunks.values_list("author_step", flat=True))
    done = task.steps.filter(kind=StepKind.WORK, state=StepState.DONE).select_related("agent")
    if not done:
        raise TransitionRefused("No step of this task is finished, so there is nothing to revert.")
    for step in done:
        step.task = task
    return max(done, key=lambda step: wrote[step.pk])


def _work(task: Task, first: Step, *, commit: str, reverted: str) -> Step:
    """Return the step that holds the work: of who did it first, for what is sent back goes there."""
    return Step.objects.create(
        task=task,
        project_id=task.project_id,
        key=KEY,
        kind=StepKind.WORK,
        agent_id=first.agent_id,
        version=first.agent.published() or first.version,
        title=f"Put back what {first.task.label} changed",
        state=StepState.DONE,
        base_commit=commit,
        result_commit=reverted,
        result={"status": "done", "summary": "Made by Countersign from the history."},
        finished_at=Now(),
    )
