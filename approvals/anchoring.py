"""Finds a line that was commented on again in a later version of the change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from approvals.lines import lines_of
from approvals.matching import tells
from approvals.models import Side

if TYPE_CHECKING:
    from approvals.lines import Line
    from approvals.matching import Allowance, Run


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A line of a sealed hunk."""

    hunk: str
    side: str
    line: int


class Anchors:
    """Finds lines again in one version of the change, for one page: nothing is compared twice."""

    def __init__(self, allowance: Allowance) -> None:
        self._before: dict[tuple[str, str], list[Line]] = {}
        self._now: dict[tuple[str, str], list[tuple[str, Line]]] = {}
        self._blocks: dict[tuple[str, str, str], list[Run]] = {}
        self._left = allowance

    def spot_of(
        self, hunk: dict[str, Any], side: str, number: int, file: dict[str, Any]
    ) -> Spot | None:
        """Return where a line of an earlier hunk stands in the sealed file, or None when it is gone.

        It is followed through the lines that both versions have; one that was moved elsewhere is
        found by its text, the nearest first.
        """
        before, now = self.lines_of(hunk, side), self.lines_in(file, side)
        at = next((place for place, line in enumerate(before) if line.number == number), None)
        if at is None:
            return None
        place = _followed(before[at], at, self._shared(hunk, side, file))
        if place is None:
            place = _moved(before[at], [line for _, line in now])
        if place is None:
            return None
        key, line = now[place]
        return Spot(hunk=key, side=side, line=line.number)

    def lines_of(self, hunk: dict[str, Any], side: str) -> list[Line]:
        """Return the lines of one side of an earlier hunk."""
        key = (hunk["id"], side)
        if key not in self._before:
            self._before[key] = [line for line in lines_of(hunk) if line.side == side]
        return self._before[key]

    def lines_in(self, file: dict[str, Any], side: str) -> list[tuple[str, Line]]:
        """Return the lines of one side of a sealed file, each with its hunk."""
        key = (file["path"], side)
        if key not in self._now:
            lines = ((each["id"], line) for each in file["hunks"] for line in lines_of(each))
            self._now[key] = [(of, line) for of, line in lines if line.side == side]
        return self._now[key]

    def _shared(self, hunk: dict[str, Any], side: str, file: dict[str, Any]) -> list[Run]:
        """Return the lines both have; past what one page may compare, fewer."""
        key = (hunk["id"], side, file["path"])
        if key not in self._blocks:
            before = [line.text for line in self.lines_of(hunk, side)]
            now = [line.text for _, line in self.lines_in(file, side)]
            self._blocks[key] = self._left.shared(before, now)
        return self._blocks[key]


def nearest_hunk(side: str, number: int, file: dict[str, Any]) -> str:
    """Return the hunk of a sealed file at or next to a line, or nothing when it has none."""
    start, length = ("old_start", "old_lines") if side == Side.OLD else ("new_start", "new_lines")

    def away(hunk: dict[str, int]) -> int:
        first, last = hunk[start], hunk[start] + hunk[length]
        return max(first - number, number - last, 0)

    found = min(file["hunks"], key=away, default=None)
    return str(found["id"]) if found else ""


def _followed(line: Line, at: int, blocks: list[Run]) -> int | None:
    for start, there, size in blocks:
        if start <= at < start + size:
            by_chance = size == 1 and not tells(line.text)
            return None if by_chance else there + at - start
    return None


def _moved(line: Line, now: list[Line]) -> int | None:
    if not tells(line.text):
        return None
    same = [place for place, other in enumerate(now) if other.text == line.text]
    return min(same, key=lambda place: abs(now[place].number - line.number), default=None)
