"""Calls of tools outside: a step waits for them without a worker, and stopping it withdraws them.

Whoever seals and makes them is above this floor and reads the ledger rows (see `permitting`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models.functions import Now

from agents import attempts, dispatch
from agents.breakers import fingerprints
from agents.lifecycle import CALL_OPEN, AttemptState, StepState, ToolCallState
from agents.models import ToolCall

if TYPE_CHECKING:
    from collections.abc import Collection

    from django.db.models import QuerySet

    from agents.models import Step, Task

WITHDRAWN = "Its step was stopped before this call was answered."
WAITS = "Waits for the answers of tools outside."


def park(step: Step) -> bool:
    """Let a step wait until its calls are answered; False when they all are already.

    The caller has locked the step and its task.
    """
    if not open_calls(step).exists():
        return False
    attempts.close(step, AttemptState.ASKING)
    step.move(StepState.WAITING_HUMAN, data={"why": "calls"}, reason=WAITS)
    transaction.on_commit(dispatch.ring_effects, robust=True)
    return True


def open_calls(step: Step) -> QuerySet[ToolCall]:
    """Return the calls of a step that have no answer yet."""
    return ToolCall.objects.filter(attempt__step=step, state__in=CALL_OPEN)


def asks(task: Task) -> bool:
    """Tell whether a person is asked to permit a call of this task."""
    return ToolCall.objects.filter(attempt__step__task=task, state=ToolCallState.ASKED).exists()


def cancel(task: Task) -> None:
    """Withdraw the open calls of a task that is stopped; its steps are locked."""
    _withdraw(ToolCall.objects.filter(attempt__step__task=task, state__in=CALL_OPEN))


def forget(steps: Collection[Step]) -> None:
    """Withdraw what steps left open that begin anew: no conversation waits for it any more."""
    if steps:
        _withdraw(ToolCall.objects.filter(attempt__step__in=steps, state__in=CALL_OPEN))


def _withdraw(calls: QuerySet[ToolCall]) -> None:
    calls.update(
        withdrawn=True,
        state=ToolCallState.REFUSED,
        result=WITHDRAWN,
        result_fingerprint=fingerprints.of_result(WITHDRAWN),
        summary=WITHDRAWN,
        finished_at=Now(),
    )
