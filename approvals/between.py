"""What two versions of a change say otherwise in one file, line by line: exact, from sealed hunks alone.

Both were made of the same file of main, so a line that no hunk of either shows is the same in both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from approvals.matching import Allowance

_AROUND = 3  # unchanged lines shown around what differs
_Gap = tuple[int, int, int, int]  # lines that differ: from and to before, from and to now


@dataclass(frozen=True, kw_only=True)
class Part:
    """Lines that differ, with some around them, as a hunk from the earlier version to the later."""

    old_start: int
    new_start: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What a hunk says otherwise than the earlier version did in its place."""

    parts: tuple[Part, ...]
    added: int
    removed: int


def differences(
    before: Iterable[Mapping[str, Any]],
    now: Iterable[Mapping[str, Any]],
    new: Collection[str],
    allowance: Allowance,
) -> dict[str, Difference]:
    """Return, by the id of a hunk among the `new`, what is otherwise where an earlier one stood.

    Past the allowance more lines count as different, at most all between the first and the last that are. Where hunks
    of `now` share the place of an earlier one, it is told once, by the first of them.
    """
    found = {}
    for place in _places([_Piece(hunk) for hunk in before], [_Piece(hunk) for hunk in now]):
        first = next((piece.id for piece in place.now if piece.id in new), "")
        if first and place.before and (difference := place.difference(allowance)):
            found[first] = difference
    return found


class _Piece:
    """A hunk by the places of its lines, which count from 0."""

    def __init__(self, hunk: Mapping[str, Any]) -> None:
        self.id = str(hunk["id"])
        self.start = _first(hunk["old_start"], hunk["old_lines"])
        self.end = self.start + hunk["old_lines"]
        self.new_start = _first(hunk["new_start"], hunk["new_lines"])
        self.old: list[str] = []
        self.new: list[str] = []
        for marker, text in _lines(hunk["text"]):
            if marker != "+":
                self.old.append(text)
            if marker != "-":
                self.new.append(text)


def _first(start: int, count: int) -> int:
    return start - 1 if count else start  # git names the line before where there is none


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield each line with its marker; one without a newline keeps git's word on that."""
    held = ""
    for line in text.removesuffix("\n").split("\n"):
        if line[:1] == "\\":
            held = f"{held}\n{line}"
            continue
        if held:
            yield held[0], held[1:]
        held = line or " "
    if held:
        yield held[0], held[1:]


@dataclass(kw_only=True)
class _Place:
    """Lines of the file of main that hunks of both versions show, or of one of them."""

    start: int
    end: int
    before: list[_Piece] = field(default_factory=list)
    now: list[_Piece] = field(default_factory=list)

    def difference(self, allowance: Allowance) -> Difference | None:
        """Return what is otherwise; None when nothing is, or the two are not of the same file."""
        known = self._known()
        if known is None:
            return None
        one, other = self._said(self.before, known), self._said(self.now, known)
        gaps = list(_gaps(allowance.shared(one, other), len(one), len(other)))
        if not gaps:
            return None
        at = self._begins(self.before), self._begins(self.now)
        return Difference(
            parts=tuple(_part(group, one, other, at) for group in _grouped(gaps)),
            added=sum(until - start for *_, start, until in gaps),
            removed=sum(until - start for start, until, *_ in gaps),
        )

    def _known(self) -> dict[int, str] | None:
        """Return the lines of main here by their places, if all hunks agree on them."""
        known: dict[int, str] = {}
        for piece in (*self.before, *self.now):
            if len(piece.old) != piece.end - piece.start:
                return None
            for place, text in enumerate(piece.old, piece.start):
                if known.setdefault(place, text) != text:
                    return None
        return known if len(known) == self.end - self.start else None

    def _said(self, pieces: list[_Piece], known: Mapping[int, str]) -> list[str]:
        """Return the lines here as one version has them."""
        said, at = [], self.start
        for piece in pieces:
            said += [known[place] for place in range(at, piece.start)] + piece.new
            at = piece.end
        return said + [known[place] for place in range(at, self.end)]

    def _begins(self, pieces: list[_Piece]) -> int:
        return pieces[0].new_start - (pieces[0].start - self.start)


def _places(before: list[_Piece], now: list[_Piece]) -> list[_Place]:
    """Return where hunks stand, those that share or touch lines of main together, in order."""
    places: list[_Place] = []
    told = [*((piece, True) for piece in before), *((piece, False) for piece in now)]
    for piece, earlier in sorted(told, key=lambda each: (each[0].start, each[0].end)):
        if not places or piece.start > places[-1].end:
            places.append(_Place(start=piece.start, end=piece.end))
        place = places[-1]
        place.end = max(place.end, piece.end)
        (place.before if earlier else place.now).append(piece)
    return places


def _gaps(runs: Iterable[tuple[int, int, int]], before: int, now: int) -> Iterator[_Gap]:
    """Yield what lies between the runs both have."""
    left = right = 0
    for one, other, count in [*runs, (before, now, 0)]:
        if (left, right) != (one, other):
            yield left, one, right, other
        left, right = one + count, other + count


def _grouped(gaps: Iterable[_Gap]) -> list[list[_Gap]]:
    """Return the gaps, those together between which nothing need be left out."""
    groups: list[list[_Gap]] = []
    for gap in gaps:
        if groups and gap[0] - groups[-1][-1][1] <= 2 * _AROUND:
            groups[-1].append(gap)
        else:
            groups.append([gap])
    return groups


def _part(
    gaps: Sequence[_Gap], before: Sequence[str], now: Sequence[str], at: tuple[int, int]
) -> Part:
    left, right = gaps[0][0], gaps[0][2]
    lead = min(_AROUND, left, right)
    lines = []
    place = left - lead
    for from_before, until_before, from_now, until_now in gaps:
        lines += [f" {line}" for line in before[place:from_before]]
        lines += [f"-{line}" for line in before[from_before:until_before]]
        lines += [f"+{line}" for line in now[from_now:until_now]]
        place = until_before
    lines += [f" {line}" for line in before[place : place + _AROUND]]
    return Part(
        old_start=at[0] + left - lead + 1,
        new_start=at[1] + right - lead + 1,
        text="".join(f"{line}\n" for line in lines),
    )
