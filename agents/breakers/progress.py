"""No progress: turns that change nothing, read nothing new and give no new test outcome."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from agents.breakers.calls import Tripped, Warned
from agents.models.tasks import Rule

if TYPE_CHECKING:
    from agents.breakers.calls import Call, History, Verdict
    from agents.breakers.thresholds import Thresholds


def no_progress(history: History, limits: Thresholds) -> Verdict | None:
    """Judge the finished turns; turns without tools are not among them and do not count."""
    idle = _idle_turns(history)
    if len(idle) > limits.idle_turns:
        return Tripped(
            rule=Rule.NO_PROGRESS,
            which="no_progress",
            detail=f"brought nothing new in {len(idle)} turns: no change, no new file read, "
            "no new outcome of the checks",
            threshold=limits.idle_turns,
            observed=len(idle),
            calls=tuple(call for turn in idle for call in turn),
        )
    if len(idle) == limits.idle_turns:
        return Warned(
            rule=Rule.NO_PROGRESS,
            text=f"Your last {len(idle)} turns brought nothing new: no change, nothing read for the "
            "first time, no new outcome of the checks. One more and your work is stopped. Take "
            "another way, or hand in what you have and say what is missing.",
        )
    return None


def _idle_turns(history: History) -> list[tuple[Call, ...]]:
    """Return the turns at the end that brought nothing new."""
    seen: set[tuple[str, ...]] = set()
    tree = history.base
    idle: list[tuple[Call, ...]] = []
    marked = zip(history.calls, history.changes(), strict=True)
    for _, group in groupby(marked, key=lambda each: each[0].response):
        turn, new = [], False
        for call, changed in group:
            turn.append(call)
            tree = call.tree or tree
            # The same question on changed files is a new one; going back to files as they were
            # is for the rule of oscillation.
            asked = (tree, *call.gave)
            told = not call.failed and not call.writes and asked not in seen
            seen.add(asked)
            new = new or changed or told or call.polling
        idle = [] if new else [*idle, tuple(turn)]
    return idle
