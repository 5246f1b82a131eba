"""Repeated call: the same question with the same answer, again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.breakers.calls import Tripped, Warned, once_per_answer
from agents.models.tasks import Rule

if TYPE_CHECKING:
    from agents.breakers.calls import Call, History, Verdict
    from agents.breakers.thresholds import Thresholds


def repeated_call(history: History, limits: Thresholds) -> Verdict | None:
    """Judge the last call; a write that changed something begins the count anew."""
    since = history.since_change()
    if not since or since[-1].failed:  # failures have their own rule
        return None
    last = since[-1]
    calls = once_per_answer(since, lambda call: call.gave)
    seen = calls if last.polling else calls[-limits.window :]
    same = tuple(call for call in seen if call.gave == last.gave)
    most = limits.polls if last.polling else limits.repeats
    if len(same) >= most:
        return _trip(same, most)
    return _warning(last, len(same)) if len(same) == most - 1 else None


def _trip(same: tuple[Call, ...], most: int) -> Tripped:
    return Tripped(
        rule=Rule.REPEATED_CALL,
        which="polling" if same[-1].polling else "repeated_call",
        detail=f"made the same call of {same[-1].tool} {len(same)} times and got the same result",
        threshold=most,
        observed=len(same),
        calls=same,
    )


def _warning(last: Call, count: int) -> Warned:
    return Warned(
        rule=Rule.REPEATED_CALL,
        text=f"You made this call {count} times with this same result; nothing has changed in "
        "between. Once more and your work is stopped: use what you have, or do something else.",
    )
