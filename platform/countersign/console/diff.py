"""Turns a hunk's text into rows for the review page: paired, coloured, nothing hidden or cut."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import TYPE_CHECKING

from django.utils.safestring import SafeString, mark_safe

from countersign.console import hidden
from countersign.console.highlighting import Run, colour

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORD = re.compile(r"\w+|\s+|.")
_LONGEST_COMPARED = 2_000  # characters; longer lines are shown whole, without word marks
_LEAST_ALIKE = 0.25  # below this, marking words says less than the whole line does


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of one side."""

    number: int
    html: SafeString
    ends_file: bool = False  # no newline at the end of the file
    returns: bool = False  # a carriage return before its newline


@dataclass(frozen=True, kw_only=True)
class Row:
    """An old and a new line side by side; one of them may be missing."""

    old: Line | None
    new: Line | None


@dataclass(frozen=True, kw_only=True)
class Block:
    """A run of unchanged rows, or of changed ones."""

    changed: bool
    rows: tuple[Row, ...]


@dataclass
class _Raw:
    """A line before it is drawn."""

    number: int
    text: str
    runs: list[Run]
    ends_file: bool = False
    returns: bool = False
    words: tuple[tuple[int, int], ...] = ()


@lru_cache(maxsize=512)
def blocks(path: str, text: str, old_start: int, new_start: int) -> tuple[Block, ...]:
    """Return the rows of a hunk; `text` is its unified-diff lines, each with its marker."""
    parts = list(_parts(text, old_start, new_start))
    _colour(path, [line for part in parts for line in part.old_side])
    _colour(path, [line for part in parts for line in part.new_side])
    return tuple(part.drawn() for part in parts)


class _Part:
    """A run of context lines, or of removed and added ones, while it is being read."""

    def __init__(self, *, changed: bool) -> None:
        self.changed = changed
        self.old_side: list[_Raw] = []
        self.new_side: list[_Raw] = []
        self._last: list[_Raw] = []

    def takes(self, marker: str) -> bool:
        """Tell whether a line belongs here: removed lines after added ones begin a new part."""
        if marker == "-" and self.new_side:
            return False
        return self.changed == (marker in {"+", "-"})

    def add(self, marker: str, old: _Raw, new: _Raw) -> None:
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

    def drawn(self) -> Block:
        if self.changed:
            for old, new in zip(self.old_side, self.new_side, strict=False):
                old.words, new.words = _changed_words(old.text, new.text)
        length = max(len(self.old_side), len(self.new_side))
        rows = tuple(
            Row(old=_drawn(self.old_side, index), new=_drawn(self.new_side, index))
            for index in range(length)
        )
        return Block(changed=self.changed, rows=rows)


def _parts(text: str, old_number: int, new_number: int) -> Iterator[_Part]:
    part: _Part | None = None
    for line in text.removesuffix("\n").split("\n"):
        marker, content = line[:1], line[1:]
        if part is not None and marker == "\\":
            part.end_file()
            continue
        if part is None or not part.takes(marker):
            if part is not None:
                yield part
            part = _Part(changed=marker in {"+", "-"})
        part.add(marker, _raw(old_number, content), _raw(new_number, content))
        old_number += marker != "+"
        new_number += marker != "-"
    if part is not None:
        yield part


def _raw(number: int, content: str) -> _Raw:
    text = content.removesuffix("\r")
    return _Raw(number=number, text=text, runs=[], returns=text != content)


def _colour(path: str, side: list[_Raw]) -> None:
    for raw, runs in zip(side, colour(path, [raw.text for raw in side]), strict=True):
        raw.runs = runs


def _changed_words(old: str, new: str) -> tuple[tuple[tuple[int, int], ...], ...]:
    if max(len(old), len(new)) > _LONGEST_COMPARED:
        return (), ()
    left, right = _WORD.findall(old), _WORD.findall(new)
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


def _drawn(side: list[_Raw], index: int) -> Line | None:
    if index >= len(side):
        return None
    raw = side[index]
    html = mark_safe("".join(_html(raw)))  # noqa: S308  every run goes through hidden.reveal
    return Line(number=raw.number, html=html, ends_file=raw.ends_file, returns=raw.returns)


def _html(raw: _Raw) -> Iterator[str]:
    position = 0
    for token, text in raw.runs:
        for piece, marked in _cut(text, position, raw.words):
            shown = hidden.reveal(piece)
            inner = f'<span class="tok-{token}">{shown}</span>' if token else shown
            yield f"<mark>{inner}</mark>" if marked else inner
        position += len(text)


def _cut(text: str, start: int, marks: tuple[tuple[int, int], ...]) -> Iterator[tuple[str, bool]]:
    edges = {0, len(text)}
    for begin, end in marks:
        edges.update(edge - start for edge in (begin, end) if 0 < edge - start < len(text))
    ordered = sorted(edges)
    for left, right in itertools.pairwise(ordered):
        inside = any(begin <= start + left and start + right <= end for begin, end in marks)
        yield text[left:right], inside
