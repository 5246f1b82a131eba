"""What becomes of a step whose attempt did not end as planned: it waits, goes back, or asks a person."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING

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
    parking,
    reconciling,
    storable,
)
from agents.events import Kind
from agents.lifecycle import AttemptState, StepState
from agents.messages import Answer, StepResult
from agents.models.tasks import Rule
from agents.runtime.contract import Asked, Finished, Interrupted, NeedsHuman, TryAgain, Waits

if TYPE_CHECKING:
    from agents.models import Step
    from agents.runtime.contract import Outcome

_LONGEST_BACKOFF = 60.0  # seconds


def write(step: Step, outcome: Outcome, commit: str, dependents: list[Step]) -> None:
    """Write such an outcome; in a transaction that has locked the step, its dependents and the task."""
    match outcome:
        case Finished(output=StepResult() as result):
            _work(step, result, commit, dependents)
        case Finished(output=Answer() as answer):
            attempts.close(step, AttemptState.FINISHED)
            delegating.answer(step, answer, dependents)
        case Asked():
            _delegate(step, outcome)
        case NeedsHuman() if reconciling.may_try(step, outcome.rule):
            reconciling.try_once(step, outcome.evidence)
        case NeedsHuman():
            ask(step, outcome)
        case TryAgain():
            _again(step, outcome)
        case Interrupted() | Waits():
            _leave(step, outcome)
        case _:
            raise TypeError("a proposal draft is settled with what publishes it")


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


def ask(step: Step, outcome: NeedsHuman) -> None:
    """Put a locked step before a person."""
    escalations.raise_for(
        step,
        rule=outcome.rule,
        detail=outcome.detail,
        evidence=outcome.evidence,
        options=outcome.options,
    )


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


def _delegate(step: Step, asked: Asked) -> None:
    match delegating.ask(step, asked):
        case NeedsHuman() as trip:
            ask(step, trip)
        case Interrupted():
            _give_back(step)


def _again(step: Step, outcome: TryAgain) -> None:
    tries = attempts.in_a_row(step, AttemptState.RELEASED) + 1
    reason = storable.text(outcome.reason)
    if outcome.counts and tries >= escalations.TRIES:
        detail = f"Tried {tries} times, the last time: {reason}. What was finished is kept."
        ask(step, NeedsHuman(rule=outcome.rule, detail=detail, evidence={"tries": tries}))
        return
    seconds = outcome.after_seconds or backoff(tries)
    attempts.close(step, AttemptState.RELEASED, error=reason or "Try again.")
    step.move(
        StepState.READY,
        data={"why": reason, "after_seconds": round(seconds, 1)},
        reason=reason,
        available_at=Now() + timedelta(seconds=seconds),
    )


def _leave(step: Step, outcome: Interrupted | Waits) -> None:
    if isinstance(outcome, Interrupted) or not parking.park(step):
        _give_back(step)


def _give_back(step: Step) -> None:
    attempts.close(step, AttemptState.RELEASED)
    why = "held" if holds.holds_step(step) else "given back"
    step.move(StepState.READY, available_at=Now(), data={"why": why})
    transaction.on_commit(dispatch.ring, robust=True)
