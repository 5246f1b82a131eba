"""Draws the rows of a diff: both sides of each, escaped, with what cannot be seen marked.

Numbers, signs and colours are drawn by the style: a long review has thousands of each.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from django.utils.safestring import SafeString, mark_safe

from countersign.console import hidden
from countersign.console.highlighting import ranges
from projects import characters

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_RETURN = '<span class="diff-cr" title="carriage return at the end of the line">CR</span>'
_VOID = '<div class="diff-cell diff-{} diff-void" role="cell"></div>'
_END = '<span class="diff-eof">no newline at the end of the file</span>'


@dataclass
class Raw:
    """A line before it is drawn."""

    number: int
    text: str
    code: str  # of its colours
    ends_file: bool = False
    returns: bool = False
    by_hand: bool = False  # a person wrote it, not an agent
    words: tuple[tuple[int, int], ...] = ()

    def at(self, number: int) -> Raw:
        """Return the same line as it stands on the other side, before anything is noted on it."""
        return Raw(number=number, text=self.text, code=self.code, returns=self.returns)


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of one side."""

    number: int
    html: SafeString
    colours: str = ""
    ends_file: bool = False  # no newline at the end of the file
    returns: bool = False  # a carriage return before its newline


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """An old and a new line side by side; one of them may be missing."""

    old: Line | None
    new: Line | None
    html: SafeString  # of both


def unchanged(old: Raw, new: Raw, anchor: str) -> Row:
    """Draw a line both sides have; `anchor` names its file on the page."""
    left = _line(old)
    # Coloured otherwise only where a change before it opens a text or a comment.
    colours = left.colours if old.code == new.code else _line(new).colours
    right = Line(
        number=new.number,
        html=left.html,
        colours=colours,
        ends_file=new.ends_file,
        returns=new.returns,
    )
    return Row(
        old=left,
        new=right,
        html=_row(
            _cell("diff-old", left),
            _cell("diff-new", right, _named(right, anchor) + f' data-o="{left.number}"'),
        ),
    )


def changed(old: Raw | None, new: Raw | None, anchor: str) -> Row:
    """Draw a removed line and the added one beside it, or one of them alone."""
    left, right = _line(old) if old else None, _line(new) if new else None
    cells = [_VOID.format("old"), _VOID.format("new")]
    if old and left:
        cells[0] = _cell("diff-old diff-del", left, _by(old))
    if new and right:
        cells[1] = _cell("diff-new diff-add", right, _named(right, anchor) + _by(new))
    return Row(old=left, new=right, html=_row(*cells))


def _named(line: Line, anchor: str) -> str:
    # What differs between rounds, and lines around a hunk, are no place to be sent to.
    return f' id="{anchor}-n{line.number}"' if anchor else ""


def _by(raw: Raw) -> str:
    return " data-by-hand" if raw.by_hand else ""


# By hand and not by a template: a large change has thousands of rows, and a template takes longer for
# each than everything else together. What is not of this file has been escaped.
def _row(old: str, new: str) -> SafeString:
    return mark_safe(f'<div class="diff-row" role="row">{old}{new}</div>')  # noqa: S308


def _cell(kind: str, line: Line, named: str = "") -> str:
    after = (_RETURN if line.returns else "") + (_END if line.ends_file else "")
    return (
        f'<div class="diff-cell {kind}" role="cell" data-n="{line.number}"{named}>'
        f'<code class="diff-code" dir="ltr" data-c="{line.colours}">{line.html}{after}</code></div>'
    )


def _line(raw: Raw) -> Line:
    # Of the whole line: a change may cut a word in two, and a lookalike is found by its word.
    odd = set(characters.marks(raw.text))
    return Line(
        number=raw.number,
        html=_html(raw, odd),
        colours=ranges(raw.code, raw.text, odd),
        ends_file=raw.ends_file,
        returns=raw.returns,
    )


def _html(raw: Raw, odd: Collection[int]) -> SafeString:
    drawn = []
    for marked, start, end in _stretches(raw):
        text = raw.text[start:end]
        shown = _shown(text, start, odd) if odd else escape(text)
        drawn.append(f"<mark>{shown}</mark>" if marked else shown)
    return mark_safe("".join(drawn))  # noqa: S308  all of it is escaped or a badge


def _shown(text: str, start: int, odd: Collection[int]) -> str:
    return "".join(
        hidden.badge(one) if at in odd else escape(one) for at, one in enumerate(text, start)
    )


def _stretches(raw: Raw) -> Iterator[tuple[bool, int, int]]:
    """Yield where a line is cut, a word that changed beginning or ending there, and whether it is one."""
    at, marked = 0, False
    for edge in (*itertools.chain(*raw.words), len(raw.text)):
        if edge > at:
            yield marked, at, edge
        at, marked = max(at, edge), not marked
