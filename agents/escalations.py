"""Hands a step to a person when a limit trips, and goes on as that person chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from agents import attempts, dispatch, meters, reconciling, rounds, stopping, storable
from agents.events import Kind
from agents.lifecycle import (
    ESCALATION_MOVES,
    AttemptState,
    EscalationState,
    StepKind,
    StepState,
    TaskState,
)
from agents.limits import Limits, task_trip
from agents.models import Escalation, Step, Task
from agents.models.tasks import Choice, Rule
from projects import audit, transitions
from projects.access import is_lead, require_member
from projects.exceptions import InvalidInput, NotAllowed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from projects.models import User

TRIES = 5  # in a row: lost leases, or trouble that did not heal
MAX_NOTE = 4_000  # characters
_EXTRA = {
    Rule.MAX_TURNS: ("extra_turns", "max_turns"),
    Rule.WALL_CLOCK: ("extra_seconds", "max_seconds"),
    Rule.BUDGET: ("extra_tokens", "max_tokens"),
}
_MODEL_RULES = frozenset(
    {Rule.BLOCKED, Rule.MODEL_UNREACHABLE, Rule.MODEL_REFUSED, Rule.MODEL_OVERLOADED}
)


def options_for(rule: str) -> tuple[Choice, ...]:
    """Return what a person may choose when this rule tripped."""
    raisable = (Choice.RAISE_LIMIT_ONCE,) if rule in _EXTRA else ()
    return (*raisable, Choice.RETRY_WITH_NOTE, Choice.STOP)


def raise_for(
    step: Step,
    *,
    rule: str,
    detail: str,
    evidence: dict[str, Any] | None = None,
    options: Iterable[str] = (),
) -> Escalation:
    """Open an escalation for a step; its attempt ends, its task waits for a person.

    Raises TransitionRefused when the step's attempt has moved on.
    """
    with transaction.atomic():
        detail = storable.text(detail)
        if step.state == StepState.LEASED:
            step.move(StepState.WAITING_HUMAN, reason=detail)
        attempts.close(step, AttemptState.ESCALATED, error=detail)
        return _open(step.task, step, rule, detail, evidence or {}, options)


def raise_on(
    task: Task,
    *,
    rule: str,
    detail: str,
    evidence: dict[str, Any] | None = None,
    options: Iterable[str] = (),
) -> Escalation:
    """Open an escalation for a task as a whole; it waits for a person."""
    with transaction.atomic():
        return _open(task, None, rule, storable.text(detail), evidence or {}, options)


def resolve(escalation: Escalation, *, choice: str, note: str = "", by: User) -> None:
    """Go on as a person chose; the task leaves needs_human with its last open escalation.

    Raises TransitionRefused when it was answered before, InvalidInput, NotAllowed.
    """
    _check_right(escalation.task, by)
    _check(escalation, choice, note)
    with transaction.atomic():
        step = _locked_step(escalation)
        task = Task.objects.select_for_update(no_key=True).get(pk=escalation.task_id)
        _mark(escalation, choice, note, by)
        if note.strip():
            said = {"from": "person", "author": by.display_name, "text": note.strip()}
            task.record(Kind.MESSAGE, said, step=step)
        if choice == Choice.STOP:
            stopping.stop(task, by=by, reason=note.strip() or "Stopped by a person who was asked.")
        else:
            _go_on(escalation, task, step, by)
        audit.record(
            "escalation.resolved",
            subject=escalation,
            actor=by,
            project=task.project,
            choice=choice,
            rule=escalation.rule,
        )
        transaction.on_commit(dispatch.ring, robust=True)


def _open(
    task: Task,
    step: Step | None,
    rule: str,
    detail: str,
    evidence: dict[str, Any],
    options: Iterable[str],
) -> Escalation:
    escalation = Escalation.objects.create(
        task=task,
        step=step,
        attempt=step.attempt if step else 0,
        rule=rule,
        detail=detail,
        evidence=storable.plain(evidence),
        options=list(options) or list(options_for(rule)),
    )
    facts = {"escalation": str(escalation.pk), "rule": rule, "detail": detail}
    task.record(Kind.ESCALATION_RAISED, {**facts, "options": escalation.options}, step=step)
    if task.state != TaskState.NEEDS_HUMAN:
        task.move(TaskState.NEEDS_HUMAN, state_before_human=task.state)
    return escalation


def _check_right(task: Task, by: User) -> None:
    require_member(by, task.project)
    if by.pk != task.requester_id and not is_lead(by, task.project):
        raise NotAllowed("Only who asked for it or a tech lead of the project can answer this.")


def _check(escalation: Escalation, choice: str, note: str) -> None:
    if choice not in escalation.options:
        raise InvalidInput("choice", f"Choose one of: {', '.join(escalation.options)}.")
    if len(note) > MAX_NOTE or storable.text(note) != note:
        raise InvalidInput("note", f"A note is plain text of at most {MAX_NOTE:,} characters.")


def _locked_step(escalation: Escalation) -> Step | None:
    # All steps of the task: stopping and planning anew lock them, and steps come before tasks.
    steps = Step.objects.select_related("version", "agent").filter(task=escalation.task_id)
    locked = steps.select_for_update(no_key=True, of=("self",)).order_by("pk")
    return next((step for step in list(locked) if step.pk == escalation.step_id), None)


def _mark(escalation: Escalation, choice: str, note: str, by: User) -> None:
    transitions.move(
        escalation,
        EscalationState.RESOLVED,
        moves=ESCALATION_MOVES,
        choice=choice,
        note=note,
        resolved_at=Now(),
        resolved_by=by,
    )
    escalation.task.record(
        Kind.ESCALATION_RESOLVED,
        {"escalation": str(escalation.pk), "choice": choice, "note": note, "by": by.display_name},
        step=escalation.step,
    )


def _go_on(escalation: Escalation, task: Task, step: Step | None, by: User) -> None:
    if escalation.choice == Choice.RAISE_LIMIT_ONCE:
        _raise_limit(Rule(escalation.rule), task, step)
    if _thinks_now(escalation, task) and step is not None and step.kind == StepKind.WORK:
        rounds.plan_again(task, by=by)  # the rehearsal's plan was only to look for files
        return
    to = task.state_before_human
    if step is not None and escalation.rule == Rule.CONFLICT and step.kind == StepKind.ASSEMBLE:
        reconciling.reconcile(task, step, escalation)
        to = TaskState.WORKING
    elif step is not None:
        step.task = task
        step.move(StepState.READY, available_at=Now(), reason="", **_told(step, escalation))
    waiting = task.escalations.filter(state=EscalationState.OPEN)
    if task.state == TaskState.NEEDS_HUMAN and not waiting.exists():
        task.move(to, state_before_human="")


def _told(step: Step, escalation: Escalation) -> dict[str, Any]:
    if escalation.rule != Rule.CONFLICT:
        return {}
    return {"feedback": reconciling.told_of_conflict(step, escalation)}


def _raise_limit(rule: Rule, task: Task, step: Step | None) -> None:
    """Give once more what the task was given or, when the task has enough, what the step was."""
    limits, now = Limits.frozen(task.limits), meters.used(task)
    trip = task_trip(limits, tokens=now.tokens, usd=now.usd, seconds=now.seconds)
    if trip is not None and rule != Rule.MAX_TURNS:
        more = trip.limit + trip.used
        task.limits = {**task.limits, trip.name: more if trip.name == "usd" else int(more)}
        Task.objects.filter(pk=task.pk).update(limits=task.limits)
    elif step is not None:
        extra, given = _EXTRA[rule]
        amount = getattr(step.version, given)
        Step.objects.filter(pk=step.pk).update(**{extra: F(extra) + amount})


def _thinks_now(escalation: Escalation, task: Task) -> bool:
    """Take up a model that was configured since; tell whether a rehearsal became real thinking."""
    model = settings.COUNTERSIGN_MODEL
    if escalation.rule not in _MODEL_RULES or model in {task.model, "rehearsal"}:
        return False
    rehearsed, task.model = task.rehearsal, model
    Task.objects.filter(pk=task.pk).update(model=model)
    return rehearsed
