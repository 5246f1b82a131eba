"""Turns a hunk's text into rows for the review page: paired, coloured, nothing hidden or cut."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from threading import Lock
from typing import TYPE_CHECKING

from cachetools import LRUCache, cached
from django.utils.safestring import SafeString, mark_safe

from countersign.console import diff_rows
from countersign.console.diff_rows import Raw, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from approvals.matching import Run

_WORD = re.compile(r"\w+|\s+|.")
# Words of one line by words of the other, for a hunk and for each of its characters: to compare two lines
# costs that much, and a hostile pair of 2,000 characters took five seconds. Usual lines need 2 to 5 each.
_SPENT, _SPENT_EACH = 500, 8
_LEAST_ALIKE = 0.25  # below this, marking words says less than the whole line does
_KEPT = 32 * 1024 * 1024  # characters of what is kept: a dozen changes of two thousand lines


@dataclass(frozen=True, kw_only=True)
class Block:
    """A run of unchanged rows, or of changed ones."""

    changed: bool
    rows: tuple[Row, ...]
    spaces: bool = False  # its sides differ in spaces only

    @property
    def html(self) -> SafeString:
        """Return all its rows, drawn."""
        return mark_safe("".join(row.html for row in self.rows))  # noqa: S308  each is safe


@dataclass(frozen=True, kw_only=True, slots=True)
class _Drawn:
    """What is kept of a hunk, and how long what it is found by is."""

    blocks: tuple[Block, ...]
    key: int


def _size(drawn: _Drawn) -> int:
    """Return the characters of all that is kept; a line both sides share is there once."""
    size = drawn.key
    for row in (row for block in drawn.blocks for row in block.rows):
        lines = {
            id(line.html): len(line.html) + len(line.colours) for line in (row.old, row.new) if line
        }
        size += len(row.html) + sum(lines.values())
    return size


def blocks(
    text: str,
    old_start: int,
    new_start: int,
    anchor: str = "",
    colours: str = "",
    *,
    apart: tuple[Run, ...] = (),
    by_hand: frozenset[int] = frozenset(),
) -> tuple[Block, ...]:
    """Return the rows of a hunk; `text` is its unified-diff lines, each with its marker.

    New lines are found on the page under the anchor of their file. `apart` are runs of lines that differ
    in spaces only, by the numbers of their lines: they become blocks of their own. `by_hand` are the
    lines of the text that a person wrote.
    What is drawn is kept: whoever comes next, or comes back, is shown the same sealed text.
    """
    return _drawn(text, old_start, new_start, anchor, colours, apart, by_hand).blocks


def changes(text: str, old_start: int, new_start: int) -> Iterator[tuple[list[Raw], list[Raw]]]:
    """Yield the removed and the added lines of each place of a hunk."""
    parts = _parts(text, old_start, new_start, "")
    return ((part.old_side, part.new_side) for part in parts if part.changed)


@cached(LRUCache(maxsize=_KEPT, getsizeof=_size), lock=Lock())
def _drawn(
    text: str,
    old_start: int,
    new_start: int,
    anchor: str,
    colours: str,
    apart: tuple[Run, ...],
    by_hand: frozenset[int],
) -> _Drawn:
    parts = list(_parts(text, old_start, new_start, colours, by_hand))
    if apart:
        parts = [piece for part in parts for piece in part.apart(apart)]
    _mark_words([pair for part in parts for pair in part.pairs()], _SPENT + _SPENT_EACH * len(text))
    drawn = tuple(part.drawn(anchor) for part in parts)
    return _Drawn(blocks=drawn, key=len(text) + len(colours))


class _Part:
    """A run of context lines, or of removed and added ones, while it is being read."""

    def __init__(self, *, changed: bool) -> None:
        self.changed = changed
        self.spaces = False  # its sides differ in nothing else
        self.old_side: list[Raw] = []
        self.new_side: list[Raw] = []
        self._last: list[Raw] = []

    def takes(self, marker: str) -> bool:
        """Tell whether a line belongs here: removed lines after added ones begin a new part."""
        if marker == "-" and self.new_side:
            return False
        return self.changed == (marker in {"+", "-"})

    def add(self, marker: str, old: Raw, new: Raw) -> None:
        self._last = []
        if marker != "+":
            self.old_side.append(old)
            self._last.append(old)
        if marker != "-":
            self.new_side.append(new)
            self._last.append(new)

    def end_file(self) -> None:
        """Note that git found no newline behind the line just read."""
        for raw in self._last:
            raw.ends_file = True

    def pairs(self) -> Iterator[tuple[Raw, Raw]]:
        """Yield each removed line with the added one beside it."""
        if self.changed:
            yield from zip(self.old_side, self.new_side, strict=False)

    def apart(self, runs: Iterable[Run]) -> list[_Part]:
        """Return the same lines in order, those of the runs among them as parts of their own."""
        if not self.changed or not self.old_side or not self.new_side:
            return [self]
        first_old, first_new = self.old_side[0].number, self.new_side[0].number
        places = ((old - first_old, new - first_new, count) for old, new, count in runs)
        inside = [place for place in places if 0 <= place[0] < len(self.old_side)]
        return [each for each in self._split(inside) if each.old_side or each.new_side]

    def _split(self, runs: Iterable[Run]) -> Iterator[_Part]:
        old, new = 0, 0
        for left, right, count in [*runs, (len(self.old_side), len(self.new_side), 0)]:
            yield self._piece(slice(old, left), slice(new, right))
            old, new = left + count, right + count
            yield self._piece(slice(left, old), slice(right, new), spaces=True)

    def _piece(self, old: slice, new: slice, *, spaces: bool = False) -> _Part:
        piece = _Part(changed=True)
        piece.old_side, piece.new_side = self.old_side[old], self.new_side[new]
        piece.spaces = spaces
        return piece

    def drawn(self, anchor: str) -> Block:
        if not self.changed:
            pairs = zip(self.old_side, self.new_side, strict=True)
            rows = [diff_rows.unchanged(old, new, anchor) for old, new in pairs]
            return Block(changed=False, rows=tuple(rows))
        both = itertools.zip_longest(self.old_side, self.new_side)
        rows = [diff_rows.changed(old, new, anchor) for old, new in both]
        return Block(changed=True, rows=tuple(rows), spaces=self.spaces)


def _parts(
    text: str,
    old_number: int,
    new_number: int,
    colours: str,
    by_hand: frozenset[int] = frozenset(),
) -> Iterator[_Part]:
    part: _Part | None = None
    codes = iter(colours.split("\n"))
    for row, line in enumerate(text.removesuffix("\n").split("\n")):
        marker, content = line[:1], line[1:]
        if part is not None and marker == "\\":
            part.end_file()
            continue
        if part is None or not part.takes(marker):
            if part is not None:
                yield part
            part = _Part(changed=marker in {"+", "-"})
        old, two, new = next(codes, "").partition("=")
        before = _raw(old_number, content, old)
        after = _raw(new_number, content, new) if two else before.at(new_number)
        before.by_hand = after.by_hand = row in by_hand
        part.add(marker, before, after)
        old_number += marker != "+"
        new_number += marker != "-"
    if part is not None:
        yield part


def _raw(number: int, content: str, code: str) -> Raw:
    text = content.removesuffix("\r")
    return Raw(number=number, text=text, code=code, returns=text != content)


def _mark_words(pairs: Iterable[tuple[Raw, Raw]], budget: int) -> None:
    """Note the words that differ, as long as that costs little for the length of the hunk."""
    for old, new in pairs:
        left, right = (_WORD.findall(side.text) for side in (old, new))
        cost = len(left) * len(right)
        if cost <= budget:
            budget -= cost
            old.words, new.words = _changed_words(left, right)


def _changed_words(
    left: Sequence[str], right: Sequence[str]
) -> tuple[tuple[tuple[int, int], ...], ...]:
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    if matcher.ratio() < _LEAST_ALIKE:
        return (), ()
    marks: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    for kind, a_from, a_to, b_from, b_to in matcher.get_opcodes():
        if kind == "equal":
            continue
        for words, start, end, found in ((left, a_from, a_to, 0), (right, b_from, b_to, 1)):
            begin = len("".join(words[:start]))
            length = len("".join(words[start:end]))
            if length:
                marks[found].append((begin, begin + length))
    return tuple(marks[0]), tuple(marks[1])
