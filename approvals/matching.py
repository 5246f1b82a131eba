"""Finds what two lists of lines have in common, at a cost that is bounded."""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from dataclasses import dataclass
from difflib import Match, SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Run = tuple[int, int, int]  # lines both have: where before, where now, how many

_TELLING = 4  # characters that are not blank: what shorter lines say stands in many places
_FOR_A_PAGE = 3_000_000  # steps: a quarter to two fifths of a second, at worst


def tells(line: str) -> bool:
    """Tell whether a line says enough to be known again by it."""
    return len("".join(line.split())) >= _TELLING


@dataclass
class Allowance:
    """How many steps of comparing are left, of all that one page compares.

    A step is a line, or a pair of equal lines, that is looked at once more.
    """

    steps: int = _FOR_A_PAGE

    def shared(self, before: Sequence[Hashable], now: Sequence[Hashable]) -> list[Run]:
        """Return runs both have, in order; past the allowance those found, and those at both ends."""
        head, tail = _ends(before, now)
        within = (before[head : len(before) - tail], now[head : len(now) - tail])
        blocks = _Bounded(*within, self).get_matching_blocks()
        inside = [(head + block.a, head + block.b, block.size) for block in blocks]
        runs = [(0, 0, head), *inside, (len(before) - tail, len(now) - tail, tail)]
        return [run for run in runs if run[2]]

    def takes(self, steps: int) -> bool:
        """Take so many steps if they are left."""
        if steps > self.steps:
            return False
        self.steps -= steps
        return True


class _Bounded(SequenceMatcher[Hashable]):
    """Finds no more once the allowance is spent: the pairs of lines do not bound what difflib does.

    For each match it goes through all places of each line once more: two lines by turns, 2,000 before and
    180 now, are 360,000 pairs but ten million steps, and took half a second.
    """

    b2j: dict[Hashable, list[int]]  # where each line stands now; the stubs leave it out

    def __init__(
        self, before: Sequence[Hashable], now: Sequence[Hashable], allowance: Allowance
    ) -> None:
        super().__init__(None, before, now)
        self._allowance, self._count = allowance, len(before)
        places = (1 + len(self.b2j.get(line, ())) for line in before)
        self._until = list(itertools.accumulate(places, initial=0))

    def find_longest_match(
        self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> Match:
        """Return the longest run within these bounds, or an empty one past the allowance."""
        steps = self._until[self._count if ahi is None else ahi] - self._until[alo]
        if not self._allowance.takes(steps):
            return Match(alo, blo, 0)
        return super().find_longest_match(alo, ahi, blo, bhi)


def _ends(before: Sequence[Hashable], now: Sequence[Hashable]) -> tuple[int, int]:
    """Return how many lines are the same at the beginning, and at the end."""
    most = min(len(before), len(now))
    head = next((place for place in range(most) if before[place] != now[place]), most)
    most -= head
    tail = next((place for place in range(most) if before[-1 - place] != now[-1 - place]), most)
    return head, tail
