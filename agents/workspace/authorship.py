"""Says whose work each hunk is, line by line: the last contribution that wrote a line owns it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from uuid import UUID

    from agents.models import Attempt, Step
    from agents.workspace.diffs import FileDiff, HunkDiff
    from agents.workspace.git import Store

Side = Literal["+", "-"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contribution:
    """What one attempt of a step made of what it was given."""

    step: Step
    attempt: Attempt
    base_commit: str
    result_commit: str


def attribute(
    store: Store,
    base: str,
    head: str,
    contributions: Sequence[Contribution],
    diffs: Sequence[FileDiff],
) -> list[list[Contribution | None]]:
    """Return the author of every hunk: one list per file of `diffs`, one entry per hunk.

    `contributions` in the order they were made, earlier rounds first. None: nobody's (a merge).
    """
    owners: list[list[Counter[int]]] = [[Counter() for _ in file.hunks] for file in diffs]
    lines: list[dict[tuple[Side, int], int]] = [{} for _ in diffs]
    touched: list[int | None] = [None for _ in diffs]
    store.prepare_diffs(
        pair
        for each in contributions
        for pair in (
            (each.base_commit, each.result_commit),
            (base, each.base_commit),
            (each.result_commit, head),
        )
    )
    for number, contribution in enumerate(contributions):
        traces = _Traces(store, base, head, contribution)
        for at, file in enumerate(diffs):
            if traces.touched(file):
                touched[at] = number
                lines[at].update(dict.fromkeys(traces.lines(file), number))
    for at, file in enumerate(diffs):
        for position, hunk in enumerate(file.hunks):
            owners[at][position].update(
                lines[at][line] for line in _changed(hunk) if line in lines[at]
            )
    return [
        [_pick(contributions, votes, touched[at]) for votes in owners[at]]
        for at in range(len(diffs))
    ]


def _pick(
    contributions: Sequence[Contribution], votes: Counter[int], touched: int | None
) -> Contribution | None:
    """Return the last contribution to a hunk of the agent that wrote most of its lines.

    The last: what was written anew in this round says so, though most lines are of an earlier one.
    """
    if not votes:
        return contributions[touched] if touched is not None else None
    lines: Counter[UUID] = Counter()
    last: dict[UUID, int] = {}
    for number in sorted(votes):
        agent = contributions[number].step.agent_id
        lines[agent] += votes[number]
        last[agent] = number
    return contributions[last[max(lines, key=lambda agent: (lines[agent], last[agent]))]]


class _Traces:
    """Follows the lines of the final diff back into one contribution."""

    def __init__(self, store: Store, base: str, head: str, contribution: Contribution) -> None:
        began, result = contribution.base_commit, contribution.result_commit
        self.own = {file.path: file for file in store.diff(began, result)}
        self.before = {file.path: file for file in store.diff(base, began) if base != began}
        self.after = {file.path: file for file in store.diff(result, head) if result != head}

    def touched(self, file: FileDiff) -> bool:
        """Tell whether the contribution changed this file."""
        return self._own(file) is not None

    def lines(self, file: FileDiff) -> Iterator[tuple[Side, int]]:
        """Yield the lines of the final diff that this contribution wrote or removed."""
        own = self._own(file)
        if own is None:
            return
        mine = {line for hunk in own.hunks for line in _changed(hunk)}
        added = _line_map(self.after.get(file.path), back=True)
        removed = _line_map(self.before.get(own.old_path or own.path), back=False)
        for hunk in file.hunks:
            for side, number in _changed(hunk):
                place = added(number) if side == "+" else removed(number)
                if (side, place) in mine:
                    yield side, number

    def _own(self, file: FileDiff) -> FileDiff | None:
        later = self.after.get(file.path)
        name = later.old_path if later and later.old_path else file.path
        return self.own.get(name)


def _changed(hunk: HunkDiff) -> Iterator[tuple[Side, int]]:
    for sign, old, new in _walk(hunk):
        if sign == "+":
            yield "+", new
        elif sign == "-":
            yield "-", old


def _walk(hunk: HunkDiff) -> Iterator[tuple[str, int, int]]:
    """Yield the marker of each line with its number on the old and the new side."""
    old, new = hunk.old_start, hunk.new_start
    for line in hunk.lines:
        sign = line[:1]
        if sign == "\\":
            continue
        yield sign, old, new
        old += sign != "+"
        new += sign != "-"


def _line_map(file: FileDiff | None, *, back: bool) -> Callable[[int], int | None]:
    """Return how line numbers translate through a diff; None for lines it made or dropped."""
    inside: dict[int, int | None] = {}
    shifts: list[tuple[int, int]] = []  # behind this line, numbers differ by so much
    for hunk in file.hunks if file else ():
        for sign, old, new in _walk(hunk):
            here, there = (new, old) if back else (old, new)
            if sign == " ":
                inside[here] = there
            elif (sign == "+") == back:
                inside[here] = None
        old_end, new_end = hunk.old_start + hunk.old_lines, hunk.new_start + hunk.new_lines
        shifts.append((new_end, old_end - new_end) if back else (old_end, new_end - old_end))

    def translate(number: int) -> int | None:
        if number in inside:
            return inside[number]
        shift = next((by for line, by in reversed(shifts) if line <= number), 0)
        return number + shift

    return translate
