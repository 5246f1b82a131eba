"""Finds what two lists of lines have in common, at a cost that is bounded."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

Run = tuple[int, int, int]  # lines both have: where before, where now, how many


@dataclass
class Allowance:
    """How many pairs of lines may still be compared; 4,000,000 take a quarter of a second, at worst."""

    pairs: int

    def shared(self, before: Sequence[Hashable], now: Sequence[Hashable]) -> list[Run]:
        """Return the runs both have, in order; past the allowance only those at both ends."""
        head, tail = _ends(before, now)
        within = (before[head : len(before) - tail], now[head : len(now) - tail])
        runs = [(0, 0, head), *self._inside(*within, head)]
        runs.append((len(before) - tail, len(now) - tail, tail))
        return [run for run in runs if run[2]]

    def _inside(self, before: Sequence[Hashable], now: Sequence[Hashable], head: int) -> list[Run]:
        pairs = len(before) * len(now)
        if pairs > self.pairs:
            return []
        self.pairs -= pairs
        blocks = SequenceMatcher(None, before, now).get_matching_blocks()
        return [(head + block.a, head + block.b, block.size) for block in blocks]


def _ends(before: Sequence[Hashable], now: Sequence[Hashable]) -> tuple[int, int]:
    """Return how many lines are the same at the beginning, and at the end."""
    most = min(len(before), len(now))
    head = next((place for place in range(most) if before[place] != now[place]), most)
    most -= head
    tail = next((place for place in range(most) if before[-1 - place] != now[-1 - place]), most)
    return head, tail
