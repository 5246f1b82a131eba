"""The time axis all rows share, in hundredths: long pauses in which nobody worked are cut short."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Interval = tuple[float, float]

_BREAK_WIDTH = 3.0  # hundredths of the axis
_MOST_BREAKS = 10
_BREAK_SHARE = 0.1  # of the time worked: a shorter pause is drawn as it was
_BREAK_SECONDS = 5.0
_NARROWEST = 0.35  # a bar shorter than this could not be seen
_TICKS = (0, 25, 50, 75)
_TICK_WIDTH = 13.0  # what the words of a tick may take
_LATER_WIDTH = 20.0  # the same of a pause's words


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """A piece of time and where it lies."""

    start: float
    end: float
    left: float
    width: float
    is_break: bool = False

    @property
    def seconds(self) -> float:
        """Return how long it was."""
        return self.end - self.start


@dataclass(frozen=True, kw_only=True, slots=True)
class Break:
    """A pause that is cut short, and where its length can be written."""

    left: float
    width: float
    seconds: float
    words: float | None = None  # where its words begin or, of a late one, end; None: no room
    late: bool = False  # its words stand before it

    @property
    def taken(self) -> Interval:
        """Return from where to where no tick may stand."""
        right = self.left + self.width
        if self.words is None:
            return self.left, right
        if self.late:
            return self.left - _LATER_WIDTH, right
        return self.left, right + _LATER_WIDTH


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Places moments between 0 and 100."""

    stretches: Sequence[Stretch] = ()

    def place(self, start: float, end: float) -> Interval:
        """Return where a bar begins and how wide it is; never so narrow that it is not seen."""
        left, right = self._at(start), self._at(end)
        left = min(left, 100 - _NARROWEST)
        return round(left, 2), round(max(right - left, _NARROWEST), 2)

    @property
    def breaks(self) -> list[Break]:
        """Return the pauses that are cut short; the words of one never lie on another."""
        pauses = [each for each in self.stretches if each.is_break]
        found: list[Break] = []
        for n, each in enumerate(pauses):
            before = found[-1].taken[1] if found else 0.0
            after = pauses[n + 1].left if n + 1 < len(pauses) else 100.0
            found.append(_with_words(each, before, after))
        return found

    @property
    def ticks(self) -> list[tuple[int, float]]:
        """Return places on the axis with the seconds since the run began; never one in a pause."""
        if not self.stretches:
            return []
        began, taken = self.stretches[0].start, [each.taken for each in self.breaks]
        free = [
            place
            for place in _TICKS
            if not any(start < place + _tick_width(place) and place < end for start, end in taken)
        ]
        return [(place, self._moment(place) - began) for place in free]

    def _at(self, moment: float) -> float:
        for each in self.stretches:
            if moment <= each.end:
                inside = (moment - each.start) / max(each.seconds, 1e-6)
                return each.left + each.width * max(0.0, inside)
        return 100.0

    def _moment(self, place: float) -> float:
        for each in self.stretches:
            if place <= each.left + each.width:
                inside = (place - each.left) / max(each.width, 1e-6)
                return each.start + each.seconds * max(0.0, inside)
        return self.stretches[-1].end


def _with_words(pause: Stretch, before: float, after: float) -> Break:
    """Write a pause's length behind it or, where there is no room, before it."""
    left, right = pause.left, pause.left + pause.width
    words, late = None, False
    if right + _LATER_WIDTH <= after:
        words = right
    elif left - _LATER_WIDTH >= before:
        words, late = left, True
    return Break(left=left, width=pause.width, seconds=pause.seconds, words=words, late=late)


def _tick_width(place: int) -> float:
    return _TICK_WIDTH if place else 2.0  # the first says 0


def axis_of(worked: Iterable[Interval]) -> Axis:
    """Return the axis over these intervals."""
    busy = _merged(worked)
    if not busy:
        return Axis()
    total = sum(end - start for start, end in busy)
    pauses = _pauses(busy, max(_BREAK_SECONDS, total * _BREAK_SHARE))
    edges: list[tuple[float, float, bool]] = []
    start = busy[0][0]
    for pause_start, pause_end in pauses:
        edges += [(start, pause_start, False), (pause_start, pause_end, True)]
        start = pause_end
    edges.append((start, busy[-1][1], False))
    return Axis(stretches=_laid_out(edges))


def _merged(worked: Iterable[Interval]) -> list[Interval]:
    found: list[Interval] = []
    for start, end in sorted(worked):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def _pauses(busy: Sequence[Interval], least: float) -> list[Interval]:
    between = [(before[1], after[0]) for before, after in pairwise(busy)]
    long = [each for each in between if each[1] - each[0] > least]
    return sorted(sorted(long, key=lambda each: each[0] - each[1])[:_MOST_BREAKS])


def _laid_out(edges: Sequence[tuple[float, float, bool]]) -> list[Stretch]:
    breaks = sum(is_break for *_, is_break in edges)
    drawn = sum(end - start for start, end, is_break in edges if not is_break)
    scale = (100 - breaks * _BREAK_WIDTH) / max(drawn, 1e-6)
    found, left = [], 0.0
    for start, end, is_break in edges:
        width = _BREAK_WIDTH if is_break else (end - start) * scale
        found.append(Stretch(start=start, end=end, left=left, width=width, is_break=is_break))
        left += width
    return found
