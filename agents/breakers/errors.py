"""Repeated error: the same call fails again, or one kind of failure follows another."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from agents.breakers.calls import Tripped, Warned, once_per_answer
from agents.models.tasks import Rule

if TYPE_CHECKING:
    from agents.breakers.calls import History, Verdict
    from agents.breakers.thresholds import Thresholds


def repeated_error(history: History, limits: Thresholds) -> Verdict | None:
    """Judge the last call, if it failed."""
    if not history.calls or not history.calls[-1].failed:
        return None
    return _same_call(history, limits) or _same_class(history, limits)


def _same_call(history: History, limits: Thresholds) -> Verdict | None:
    calls = once_per_answer(history.since_change(), lambda call: (call.fingerprint, call.failed))
    last = calls[-1]
    same = tuple(
        call
        for call in calls[-limits.window :]
        if call.failed and call.fingerprint == last.fingerprint
    )
    if len(same) < limits.same_failures:
        return None
    return Tripped(
        rule=Rule.REPEATED_ERROR,
        which="same_call",
        detail=f"made the same call of {last.tool} {len(same)} times, and it failed each time",
        threshold=limits.same_failures,
        observed=len(same),
        calls=same,
    )


def _same_class(history: History, limits: Thresholds) -> Verdict | None:
    last = history.calls[-1]
    calls = once_per_answer(history.calls, lambda call: call.error if call.failed else call.id)
    row = takewhile(lambda call: call.failed and call.error == last.error, reversed(calls))
    same = tuple(row)[::-1]
    if len(same) >= limits.same_errors:
        return Tripped(
            rule=Rule.REPEATED_ERROR,
            which="same_class",
            detail=f"got the same kind of error {len(same)} times in a row: {last.error}",
            threshold=limits.same_errors,
            observed=len(same),
            calls=same,
        )
    return _warning(len(same)) if len(same) == limits.same_errors - 1 else None


def _warning(count: int) -> Warned:
    return Warned(
        rule=Rule.REPEATED_ERROR,
        text=f"This kind of error came {count} times in a row. Once more and your work is stopped: "
        "read what it says, look at the state of things, and try another way.",
    )
