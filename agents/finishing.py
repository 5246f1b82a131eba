"""Persists how an attempt ended: one transaction, fenced by the attempt number."""

from __future__ import annotations

import logging
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models.functions import Now

from agents import (
    attempts,
    delegating,
    dispatch,
    escalations,
    extending,
    fan_in,
    holds,
    planning,
    storable,
)
from agents.events import Kind
from agents.lifecycle import AttemptState, StepState
from agents.messages import Answer, Plan, StepResult
from agents.models import Step, Task
from agents.models.tasks import Rule
from agents.runtime.contract import Asked, Finished, Interrupted, NeedsHuman, TryAgain
from projects.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.messages import ProposalDraft
    from agents.models import Attempt
    from agents.runtime.contract import Outcome

logger = logging.getLogger(__name__)

_LONGEST_BACKOFF = 60.0  # seconds


def settle(
    attempt: Attempt,
    outcome: Outcome,
    *,
    result_commit: str = "",
    publish: Callable[[Step], None] | None = None,
) -> bool:
    """Write the outcome of an attempt; False when the attempt is stale and wrote nothing.

    Locks the step and its dependents, then the task. `publish` writes a proposal's rows.
    """
    with transaction.atomic():
        step, dependents = _locked(attempt)
        if step.state != StepState.LEASED or step.attempt != attempt.number:
            logger.info("attempt %s of step %s is stale", attempt.number, step.pk)
            return False
        failpoint("settle.locked")
        match outcome:
            case Finished(output=StepResult() as result):
                _work(step, result, result_commit, dependents)
            case Finished():
                _finish(step, outcome.output, dependents, publish)
            case Asked():
                _delegate(step, outcome)
            case NeedsHuman():
                _ask(step, outcome)
            case TryAgain():
                _again(step, outcome)
            case Interrupted():
                _give_back(step)
        failpoint("settle.written")
    return True


def backoff(tries: int) -> float:
    """Return the seconds before the next try: doubling, with jitter, at most a minute."""
    longest = min(_LONGEST_BACKOFF, 2.0**tries)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, guards nothing


def lose(step: Step) -> None:
    """Take a step from an attempt whose lease ran out; after too many a person is asked.

    The caller has locked the step.
    """
    attempts.close(step, AttemptState.LOST, error="The worker died or lost its lease.")
    if attempts.in_a_row(step, AttemptState.LOST) < escalations.TRIES:
        step.move(StepState.READY, available_at=Now(), data={"why": "lease lost"})
        transaction.on_commit(dispatch.ring, robust=True)
        return
    escalations.raise_for(
        step,
        rule=Rule.FAULT,
        detail=f"{escalations.TRIES} workers in a row died or lost their lease at this step. "
        "What was finished before is kept.",
        evidence={"attempts": escalations.TRIES},
    )


def _locked(attempt: Attempt) -> tuple[Step, list[Step]]:
    step, dependents = fan_in.lock(attempt.step_id)
    task = Task.objects.select_for_update(no_key=True).get(pk=step.task_id)
    for each in (step, *dependents):
        each.task = task  # one object: a move made for one step is seen by the next
    return step, dependents


def _finish(
    step: Step,
    output: Plan | StepResult | Answer | ProposalDraft,
    dependents: list[Step],
    publish: Callable[[Step], None] | None,
) -> None:
    match output:
        case Plan():
            _plan(step, output)
        case Answer():
            attempts.close(step, AttemptState.FINISHED)
            delegating.answer(step, output, dependents)
        case _:
            _assemble(step, publish)


def _plan(step: Step, plan: Plan) -> None:
    if wrong := planning.problems(plan, step.task):
        evidence: dict[str, Any] = {"plan": storable.dumped(plan), "problems": wrong}
        detail = f"The plan cannot be carried out: {wrong[0]}"
        _ask(step, NeedsHuman(rule=Rule.INVALID_PLAN, detail=detail, evidence=evidence))
        return
    planning.apply_plan(step, plan)
    attempts.close(step, AttemptState.FINISHED)


def _work(step: Step, result: StepResult, commit: str, dependents: list[Step]) -> None:
    if extending.problems(result, step):
        # Others were faster since it was validated: the next attempt validates it anew and tells
        # the model, as if it had been so from the first.
        _give_back(step)
        return
    said = {"status": result.status, "summary": storable.text(result.summary)}
    facts = {"result": storable.dumped(result), "result_commit": commit}
    attempts.close(step, AttemptState.FINISHED)
    if result.status == "done":
        step.move(StepState.DONE, kind=Kind.STEP_FINISHED, data=said, **facts)
        extending.add(step, result, dependents)
        fan_in.count_down(dependents)
        return
    step.move(
        StepState.BLOCKED, kind=Kind.STEP_FINISHED, data=said, reason=said["summary"], **facts
    )
    escalations.raise_for(
        step,
        rule=Rule.BLOCKED,
        detail=said["summary"],
        evidence={"result": facts["result"], "rehearsal": step.task.rehearsal},
    )


def _assemble(step: Step, publish: Callable[[Step], None] | None) -> None:
    if publish is None:
        raise TypeError("a proposal draft is settled with what publishes it")
    publish(step)
    attempts.close(step, AttemptState.FINISHED)
    failpoint("proposal.published")
    transaction.on_commit(dispatch.ring_effects, robust=True)  # it is sealed there


def _delegate(step: Step, asked: Asked) -> None:
    match delegating.ask(step, asked):
        case NeedsHuman() as trip:
            _ask(step, trip)
        case Interrupted():
            _give_back(step)


def _ask(step: Step, outcome: NeedsHuman) -> None:
    escalations.raise_for(
        step,
        rule=outcome.rule,
        detail=outcome.detail,
        evidence=outcome.evidence,
        options=outcome.options,
    )


def _again(step: Step, outcome: TryAgain) -> None:
    tries = attempts.in_a_row(step, AttemptState.RELEASED) + 1
    reason = storable.text(outcome.reason)
    if outcome.counts and tries >= escalations.TRIES:
        detail = f"Tried {tries} times, the last time: {reason}. What was finished is kept."
        _ask(step, NeedsHuman(rule=outcome.rule, detail=detail, evidence={"tries": tries}))
        return
    seconds = outcome.after_seconds or backoff(tries)
    attempts.close(step, AttemptState.RELEASED, error=reason or "Try again.")
    step.move(
        StepState.READY,
        data={"why": reason, "after_seconds": round(seconds, 1)},
        reason=reason,
        available_at=Now() + timedelta(seconds=seconds),
    )


def _give_back(step: Step) -> None:
    attempts.close(step, AttemptState.RELEASED)
    why = "held" if holds.holds_step(step) else "given back"
    step.move(StepState.READY, available_at=Now(), data={"why": why})
    transaction.on_commit(dispatch.ring, robust=True)
