"""Asks every rule: after each call, and before each turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.breakers.calls import Tripped
from agents.breakers.errors import repeated_error
from agents.breakers.oscillation import oscillation
from agents.breakers.progress import no_progress
from agents.breakers.repeats import repeated_call
from agents.breakers.thresholds import Thresholds

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.breakers.calls import History, Verdict

    Judge = Callable[[History, Thresholds], Verdict | None]

_DEFAULTS = Thresholds()
_OF_A_CALL: tuple[Judge, ...] = (repeated_error, oscillation, repeated_call)


def after_call(history: History, limits: Thresholds = _DEFAULTS) -> Verdict | None:
    """Judge the last call; a trip stands above a warning."""
    return _strongest(_OF_A_CALL, history, limits)


def before_turn(history: History, limits: Thresholds = _DEFAULTS) -> Verdict | None:
    """Judge all finished turns. Of the last call only a trip counts: its warning was given with it."""
    standing = after_call(history, limits)
    if isinstance(standing, Tripped):
        return standing
    return no_progress(history, limits)


def _strongest(judges: tuple[Judge, ...], history: History, limits: Thresholds) -> Verdict | None:
    found = [verdict for judge in judges if (verdict := judge(history, limits))]
    trips = (verdict for verdict in found if isinstance(verdict, Tripped))
    return next(trips, found[0] if found else None)
