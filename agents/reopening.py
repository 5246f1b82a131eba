"""Sends one step of a round again, and what builds on it, while everybody else keeps their work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models.functions import Now

from agents import attempts, delegating, dispatch, escalations, parking, planning
from agents.branches import branch, is_of, next_key
from agents.escalations.resolving import check_note, check_right, leave_needs_human
from agents.events import Kind
from agents.lifecycle import (
    ESCALATION_MOVES,
    STEP_SETTLED,
    AttemptState,
    EscalationState,
    StepKind,
    StepState,
    TaskState,
)
from agents.models import Step, StepDependency, Task
from agents.models.tasks import Choice
from projects import audit, transitions
from projects.exceptions import InvalidInput, TransitionRefused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from projects.models import User

_OPEN = frozenset({TaskState.WORKING, TaskState.ASSEMBLING})
_STUCK = frozenset({StepState.BLOCKED, StepState.FAILED})
_SENT_AGAIN = _STUCK | {StepState.DONE, StepState.WAITING_HUMAN}


def reopenable(task: Task, steps: Sequence[Step]) -> set[UUID]:
    """Return which of a task's steps, all given, can be sent again now; says nothing of who may."""
    newest: dict[str, Step] = {}
    for step in sorted(steps, key=lambda step: (step.round, step.pk)):
        if step.kind == StepKind.WORK and not step.left_out:
            newest[branch(step.key)] = step
    return {step.pk for step in newest.values() if not _why_never(task, step)}


def reopen(step: Step, *, note: str, by: User, address: str | None = None) -> Step:
    """Send a finished or blocked step again with a note; returns the step that does it.

    What builds on it is done again after it, the proposal waits for both, all in the same round.
    Locks the task's steps, then the task. Sent twice at once: the second is refused. Raises
    TransitionRefused, InvalidInput, NotAllowed.
    """
    check_right(step.task, by)
    note = check_note(note)
    if not note:
        raise InvalidInput("note", "Say what should be different this time.")
    asked = step.escalations.filter(state=EscalationState.OPEN).first()
    if asked is not None and asked.step is not None:
        retry = Choice.RETRY_WITH_NOTE
        escalations.resolve(asked, choice=retry, note=note, by=by, address=address)
        step.refresh_from_db()
        return step
    with transaction.atomic():
        again = _Branch(step.task_id, step.pk).send_again(note, by)
        audit.record(
            "step.sent_again",
            subject=again,
            actor=by,
            project=step.task.project,
            address=address,
            task=step.task.label,
            step=step.key,
        )
        transaction.on_commit(dispatch.ring, robust=True)
    return again


def _why_not(task: Task, step: Step) -> str:
    """Return why a step cannot be sent again, or an empty text; reads rows."""
    if why := _why_never(task, step):
        return why
    newest = task.steps.filter(is_of(step.key), kind=StepKind.WORK).order_by("-round", "-id")
    if newest.exclude(left_out=True).first() != step:
        return _SENT_BEFORE.format(step.title)
    return ""


_SENT_BEFORE = "“{}” was sent again before; send the newest of its steps."


def _why_never(task: Task, step: Step) -> str:
    """Return why a step cannot be sent again whatever follows it, or an empty text."""
    now = task.state_before_human if task.state == TaskState.NEEDS_HUMAN else task.state
    if now not in _OPEN:
        return (
            "A step can be sent again while agents are at the task. In review, request changes."
            if now == TaskState.REVIEW
            else f"{task.label} is {task.state}; none of its steps can be sent again."
        )
    if step.kind != StepKind.WORK or step.state not in _SENT_AGAIN:
        return f"“{step.title}” is {step.state}; only a finished or blocked step is sent again."
    if step.round != task.round:
        return _SENT_BEFORE.format(step.title)
    return ""


class _Branch:
    """The steps of one task while one of them is sent again, all locked."""

    def __init__(self, task: UUID, first: UUID) -> None:
        rows = Step.objects.filter(task=task).select_related("agent", "version")
        locked = rows.select_for_update(no_key=True, of=("self",)).order_by("pk")
        self.steps = {step.pk: step for step in locked}
        self.task = Task.objects.select_for_update(no_key=True).get(pk=task)
        for step in self.steps.values():
            step.task = self.task
        self.first = self.steps[first]
        edges = StepDependency.objects.filter(step__task=task).order_by("pk")
        self.edges = list(edges.values_list("step_id", "needs_id"))
        self.made: dict[UUID, Step] = {}  # by the step it stands for

    def send_again(self, note: str, by: User) -> Step:
        """Make the steps anew and put the task to work; returns the first."""
        if why := _why_not(self.task, self.first):
            raise TransitionRefused(why)
        if self.first.state in _STUCK:  # nobody was asked about it yet
            told = _feedback(self.first, note, by.display_name)
            self.first.move(StepState.READY, available_at=Now(), reason="", feedback=told)
            return self.first
        olds = self._built_on()
        for old in olds:
            told = _feedback(old, note, by.display_name) if old == self.first else _follows(old)
            self.made[old.pk] = self._again(old, told)
        self._drop([old for old in olds if old.state != StepState.DONE], by)
        self._assemble_later(by)
        self._link()
        for old in olds:
            self._tell(old, by)
        self._go_to_work()
        return self.made[self.first.pk]

    def _built_on(self) -> list[Step]:
        """Return the step and what built on it or began to, in the order it is to be done."""
        found = [self.first]
        for step in found:  # grows while it is read
            for after in self._after(step):
                begun = after.state != StepState.WAITING or after.started_at is not None
                if begun and after not in found and after.state != StepState.CANCELLED:
                    found.append(after)
        return found

    def _after(self, step: Step) -> list[Step]:
        needing = (self.steps[one] for one, need in self.edges if need == step.pk)
        return [one for one in needing if one.kind == StepKind.WORK and one.round == step.round]

    def _again(self, old: Step, feedback: list[dict[str, Any]]) -> Step:
        made = Step(
            task=self.task,
            project_id=self.task.project_id,
            priority=self.task.priority,
            asked_by_id=old.asked_by_id,
            depth=old.depth,
            round=old.round,
            key=next_key(self.task, old.key),
            kind=StepKind.WORK,
            agent=old.agent,
            version=old.version,
            title=old.title,
            instructions=old.instructions,
            acceptance=old.acceptance,
            files=old.files,
            feedback=feedback,
            state=StepState.WAITING,
            available_at=Now(),
        )
        made.save(force_insert=True)
        return made

    def _drop(self, olds: list[Step], by: User) -> None:
        """Cancel steps that are done anew before they were finished, with what they asked."""
        dropped = self._with_answers(olds)
        for step in dropped:
            step.move(StepState.CANCELLED, reason="Done anew: what it built on was sent again.")
            attempts.close(step, AttemptState.CANCELLED)
            self._answer(step, by)
        delegating.cancel(self.task, askers=dropped)
        parking.forget(dropped)

    def _with_answers(self, olds: list[Step]) -> list[Step]:
        """Return steps with those that are answering them, and those that answer these in turn."""
        found = list(olds)
        for step in found:  # grows while it is read
            asked = [one for one in self.steps.values() if one.asked_by_id == step.pk]
            found += [one for one in asked if _answers(one) and one not in found]
        return found

    def _answer(self, step: Step, by: User) -> None:
        for question in step.escalations.filter(state=EscalationState.OPEN):
            transitions.move(
                question,
                EscalationState.RESOLVED,
                moves=ESCALATION_MOVES,
                choice=Choice.RETRY_WITH_NOTE,
                resolved_at=Now(),
                resolved_by=by,
            )
            facts = {"escalation": str(question.pk), "choice": question.choice, "note": ""}
            self.task.record(Kind.ESCALATION_RESOLVED, {**facts, "by": by.display_name}, step=step)

    def _assemble_later(self, by: User) -> None:
        """Let an aggregator that has begun, or may, begin anew when the work is done."""
        for old in list(self.steps.values()):
            if old.kind != StepKind.ASSEMBLE or old.state in {StepState.WAITING, *_OVER}:
                continue
            count = sum(s.kind == StepKind.ASSEMBLE and s.round == old.round for s in self._all())
            made = planning.assemble_step(
                self.task, waits=1, key=f"{planning.ASSEMBLE}-{count + 1}"
            )
            made.feedback = old.feedback
            made.save(force_insert=True)
            self.edges += self._edges_for(old)
            self.made[old.pk] = made
            self._drop([old], by)

    def _edges_for(self, assembler: Step) -> list[tuple[UUID, UUID]]:
        """Return what one waits for that merges the round onto main again: it was given no edges."""
        if any(one == assembler.pk for one, _ in self.edges):
            return []
        newest = {
            branch(step.key): step.pk
            for step in self.steps.values()
            if (step.kind, step.round) == (StepKind.WORK, assembler.round)
            and step.state != StepState.CANCELLED
        }
        return [(assembler.pk, need) for need in newest.values()]

    def _all(self) -> list[Step]:
        return [*self.steps.values(), *self.made.values()]

    def _link(self) -> None:
        """Join the new steps as the old ones were; what waits now waits for the new ones."""
        wanted: dict[UUID, dict[UUID, Step]] = {}
        for one, need in self.edges:
            step = self.made.get(one, self.steps[one])
            if self.steps[need].kind != StepKind.ANSWER and step.state == StepState.WAITING:
                target = self.made.get(need, self.steps[need])
                wanted.setdefault(step.pk, {})[target.pk] = target
        for pk, made in self.made.items():
            needs = wanted.setdefault(made.pk, {})
            if self.steps[pk].state == StepState.DONE:  # it goes on from what it did
                needs[pk] = self.steps[pk]
        new = {made.pk for made in self.made.values()}
        for step in self._all():
            needs = wanted.get(step.pk, {})
            if step.state == StepState.WAITING and (step.pk in new or new & needs.keys()):
                self._let_wait(step, list(needs.values()))

    def _let_wait(self, step: Step, needs: list[Step]) -> None:
        answers = [
            need for one, need in self.edges if one == step.pk and _answers(self.steps[need])
        ]
        StepDependency.objects.filter(step=step).exclude(needs__in=answers).delete()
        edges = [StepDependency(step=step, needs=need) for need in needs]
        StepDependency.objects.bulk_create(edges)
        met = sum(need.state == StepState.DONE or need.left_out for need in needs)
        step.waits = len(needs) - met + len(answers)
        Step.objects.filter(pk=step.pk).update(waits=step.waits)
        if not step.waits:
            step.move(StepState.READY, available_at=Now())

    def _tell(self, old: Step, by: User) -> None:
        made = self.made[old.pk]
        facts = {"key": made.key, "agent": made.agent.slug, "title": made.title}
        facts |= {"again": old.key, "by": by.display_name}
        if old == self.first:
            facts["note"] = made.feedback[-1]["note"]
        self.task.record(Kind.STEP_ADDED, facts, step=made)

    def _go_to_work(self) -> None:
        if self.task.state == TaskState.ASSEMBLING:
            self.task.move(TaskState.WORKING)
        leave_needs_human(self.task, TaskState.WORKING)


_OVER = frozenset({StepState.DONE, StepState.CANCELLED})


def _answers(step: Step) -> bool:
    return step.kind == StepKind.ANSWER and step.state not in STEP_SETTLED - _STUCK


def _feedback(step: Step, note: str, by: str) -> list[dict[str, Any]]:
    told = {"note": note, "path": "", "hunk": "", "by": by, "round": step.round}
    return [*step.feedback, told]


def _follows(step: Step) -> list[dict[str, Any]]:
    note = (
        "What this step builds on was done again. Look at what changed and make your part fit it."
    )
    return _feedback(step, note, "Countersign")
