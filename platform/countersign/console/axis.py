"""The time axis the bars of a run share; hours in which nobody worked take little of it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_IDLE_SHARE = 0.04  # of the worked time: at most so long is one wait drawn
_LEAST = 1.0  # seconds the whole axis stands for


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Known moments, and how many drawn seconds each lies from the start."""

    moments: tuple[datetime, ...]
    drawn: tuple[float, ...]

    @classmethod
    def of(cls, points: Sequence[datetime], spans: Sequence[tuple[datetime, datetime]]) -> Axis:
        """Return the axis from the first moment to the last; `spans` are when somebody worked."""
        moments = sorted({*points, *(moment for span in spans for moment in span)})
        pairs = list(pairwise(moments))
        busy = [
            any(begun <= left and right <= ended for begun, ended in spans) for left, right in pairs
        ]
        lengths = [(right - left).total_seconds() for left, right in pairs]
        worked = sum(length for length, at_work in zip(lengths, busy, strict=True) if at_work)
        longest = max(worked * _IDLE_SHARE, _LEAST)
        drawn = [0.0]
        for length, at_work in zip(lengths, busy, strict=True):
            drawn.append(drawn[-1] + (length if at_work else min(length, longest)))
        return cls(moments=tuple(moments), drawn=tuple(drawn))

    def place(self, begun: datetime, ended: datetime) -> tuple[float, float]:
        """Return where a bar begins and how wide it is, in hundredths."""
        whole = max(self.drawn[-1], _LEAST)
        left = min(99.0, 100 * self._at(begun) / whole)
        width = max(1.0, 100 * (self._at(ended) - self._at(begun)) / whole)
        return round(left, 2), round(min(width, 100 - left), 2)

    def _at(self, moment: datetime) -> float:
        index = max(0, bisect_right(self.moments, moment) - 1)
        return self.drawn[min(index, len(self.drawn) - 1)]
