"""Oscillation: two calls in turn, or edits that go back to files as they were before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents.breakers.calls import Tripped, Warned, once_per_answer
from agents.models.tasks import Rule

if TYPE_CHECKING:
    from agents.breakers.calls import Call, History, Verdict
    from agents.breakers.thresholds import Thresholds


@dataclass(frozen=True, slots=True)
class _Edit:
    call: Call
    visits: int  # how often the files were like this, this time included


def oscillation(history: History, limits: Thresholds) -> Verdict | None:
    """Judge the last call."""
    return _reverted(history, limits) or _alternating(history, limits)


def _reverted(history: History, limits: Thresholds) -> Verdict | None:
    """Find edits that undo each other.

    Going back once is honest work: a print for debugging is taken out again, two edits are undone
    one by one, an edit is undone to see whether it was to blame. It trips when files come back for
    the third time by one return after another.
    """
    edits = _edits(history)
    if not edits or edits[-1].call is not history.calls[-1] or edits[-1].visits == 1:
        return None
    last = edits[-1]
    again = len(edits) > 1 and edits[-2].visits > 1
    if last.visits < limits.visits or not again:
        return _warning()
    returns = tuple(edit.call for edit in edits if edit.visits > 1)
    return Tripped(
        rule=Rule.OSCILLATION,
        which="edit_revert",
        detail=f"changed files back and forth: they are now as they were {last.visits - 1} times before",
        threshold=limits.visits,
        observed=last.visits,
        calls=returns,
    )


def _edits(history: History) -> list[_Edit]:
    seen = {history.base: 1} if history.base else {}
    edits = []
    for call, changed in zip(history.calls, history.changes(), strict=True):
        if changed and call.tree:
            seen[call.tree] = seen.get(call.tree, 0) + 1
            edits.append(_Edit(call, seen[call.tree]))
    return edits


def _warning() -> Warned:
    return Warned(
        rule=Rule.OSCILLATION,
        text="The files are now as they were once before. If you meant to undo, go on; changing them "
        "back and forth stops your work.",
    )


def _alternating(history: History, limits: Thresholds) -> Verdict | None:
    asked = tuple(call for call in history.calls if not call.polling)
    calls = once_per_answer(asked, lambda call: call.gave)
    count = _alternations(calls)
    if count >= limits.alternations:
        tools = " and ".join(dict.fromkeys(call.tool for call in calls[-2:]))
        return Tripped(
            rule=Rule.OSCILLATION,
            which="alternation",
            detail=f"made the same two calls in turn, {count} in all, with the same results: {tools}",
            threshold=limits.alternations,
            observed=count,
            calls=calls[-count:],
        )
    if count == limits.alternations - 1:
        return Warned(
            rule=Rule.OSCILLATION,
            text="You make the same two calls in turn and get the same results. Once more and your "
            "work is stopped: do something else.",
        )
    return None


def _alternations(calls: tuple[Call, ...]) -> int:
    """Count the calls at the end that go A B A B."""
    if len(calls) < 2 or calls[-1].gave == calls[-2].gave:
        return min(len(calls), 1)
    count = 2
    while count < len(calls) and calls[-count - 1].gave == calls[-count + 1].gave:
        count += 1
    return count
