"""Finds a line that was commented on again in a later version of the change."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from approvals.lines import lines_of
from approvals.models import Side

if TYPE_CHECKING:
    from approvals.lines import Line

_TELLING = 4  # characters that are not blank: what shorter lines say stands in many places
_MOST_COMPARED = 4_000_000  # pairs of lines; the comparison takes as long as that, at worst


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A line of a sealed hunk."""

    hunk: str
    side: str
    line: int


def spot_of(hunk: dict[str, Any], side: str, number: int, file: dict[str, Any]) -> Spot | None:
    """Return where a line of an earlier hunk stands in the sealed file, or None when it is gone.

    It is followed through the lines that both versions have; one that was moved elsewhere is found
    by its text, the nearest first.
    """
    before = [line for line in lines_of(hunk) if line.side == side]
    now = [(each["id"], line) for each in file["hunks"] for line in lines_of(each)]
    now = [(key, line) for key, line in now if line.side == side]
    at = next((place for place, line in enumerate(before) if line.number == number), None)
    if at is None:
        return None
    place = _followed(before, [line for _, line in now], at)
    if place is None:
        place = _moved(before[at], [line for _, line in now])
    if place is None:
        return None
    key, line = now[place]
    return Spot(hunk=key, side=side, line=line.number)


def nearest_hunk(side: str, number: int, file: dict[str, Any]) -> str:
    """Return the hunk of a sealed file at or next to a line, or nothing when it has none."""
    start, length = ("old_start", "old_lines") if side == Side.OLD else ("new_start", "new_lines")

    def away(hunk: dict[str, int]) -> int:
        first, last = hunk[start], hunk[start] + hunk[length]
        return max(first - number, number - last, 0)

    found = min(file["hunks"], key=away, default=None)
    return str(found["id"]) if found else ""


def _followed(before: list[Line], now: list[Line], at: int) -> int | None:
    if len(before) * len(now) > _MOST_COMPARED:
        return None
    texts = ([line.text for line in before], [line.text for line in now])
    for block in SequenceMatcher(None, *texts).get_matching_blocks():
        if block.a <= at < block.a + block.size:
            by_chance = block.size == 1 and not _tells(before[at])
            return None if by_chance else block.b + at - block.a
    return None


def _moved(line: Line, now: list[Line]) -> int | None:
    if not _tells(line):
        return None
    same = [place for place, other in enumerate(now) if other.text == line.text]
    return min(same, key=lambda place: abs(now[place].number - line.number), default=None)


def _tells(line: Line) -> bool:
    return len("".join(line.text.split())) >= _TELLING
