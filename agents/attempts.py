"""How one try of a step ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models.functions import Now

from agents import storable
from agents.lifecycle import ATTEMPT_MOVES, AttemptState
from agents.models import Attempt
from projects import transitions

if TYPE_CHECKING:
    from agents.models import Step


def close(step: Step, to: AttemptState, *, error: str = "") -> None:
    """End the running attempt of this step's number, if there is one."""
    attempt = Attempt.objects.filter(
        step=step, number=step.attempt, state=AttemptState.RUNNING
    ).first()
    if attempt is not None:
        transitions.move(
            attempt, to, moves=ATTEMPT_MOVES, finished_at=Now(), error=storable.text(error)
        )


def in_a_row(step: Step, state: AttemptState) -> int:
    """Count the newest attempts that all ended in this state by trouble (they carry an error)."""
    row = step.attempts.exclude(state=AttemptState.RUNNING).order_by("-number")
    count = 0
    for ended, error in row.values_list("state", "error")[:50]:
        if ended != state or not error:
            break
        count += 1
    return count
