"""How one try of a step ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models.functions import Now

from agents import storable
from agents.breakers import reserving
from agents.lifecycle import ATTEMPT_MOVES, AttemptState
from agents.models import Attempt
from projects.exceptions import TransitionRefused

if TYPE_CHECKING:
    from agents.models import Step


# How the reason of a step begins that waits for its model's provider. Such a wait is no try.
WAITING = "Waiting for the provider"


def close(step: Step, to: AttemptState, *, error: str = "") -> None:
    """End the running attempt of this step's number, if there is one."""
    if to not in ATTEMPT_MOVES[AttemptState.RUNNING]:
        raise TransitionRefused(f"an attempt cannot become {to}.")
    if to != AttemptState.FINISHED:  # with its last answer a finished one has settled
        reserving.write_off(step)
    running = Attempt.objects.filter(step=step, number=step.attempt, state=AttemptState.RUNNING)
    running.update(state=to, finished_at=Now(), error=storable.text(error))


def in_a_row(step: Step, state: AttemptState) -> int:
    """Count the newest attempts that all ended in this state by trouble (they carry an error)."""
    ended = step.attempts.exclude(state=AttemptState.RUNNING)
    row = ended.exclude(error__startswith=WAITING).order_by("-number")
    count = 0
    for how, error in row.values_list("state", "error")[:50]:
        if how != state or not error:
            break
        count += 1
    return count
