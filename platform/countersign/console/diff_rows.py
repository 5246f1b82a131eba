"""Draws the rows of a diff: both sides of each, escaped, coloured, with what cannot be seen marked."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from django.utils.safestring import SafeString, mark_safe

from countersign.console import hidden
from projects import characters

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from countersign.console.highlighting import Run

_RETURN = '<span class="diff-cr" title="carriage return at the end of the line">CR</span>'
_END = '<span class="diff-eof">no newline at the end of the file</span>'
_REMOVED = '<span class="diff-mark" role="img" aria-label="removed">&minus;</span>'
_ADDED = '<span class="diff-mark" role="img" aria-label="added">+</span>'


@dataclass
class Raw:
    """A line before it is drawn."""

    number: int
    text: str
    runs: list[Run]
    ends_file: bool = False
    returns: bool = False
    words: tuple[tuple[int, int], ...] = ()

    def at(self, number: int) -> Raw:
        """Return the same line as it stands on the other side, before anything is noted on it."""
        return Raw(number=number, text=self.text, runs=self.runs, returns=self.returns)


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of one side."""

    number: int
    html: SafeString
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
    same = left.html if old.runs == new.runs else _html(new)
    right = Line(number=new.number, html=same, ends_file=new.ends_file, returns=new.returns)
    numbers = f'<span class="diff-no diff-no-old" aria-hidden="true">{left.number}</span>'
    return Row(
        old=left,
        new=right,
        html=_row(
            _cell("diff-old", _number(left) + _code(left)),
            _cell("diff-new", numbers + _number(right, anchor) + _code(right)),
        ),
    )


def changed(old: Raw | None, new: Raw | None, anchor: str) -> Row:
    """Draw a removed line and the added one beside it, or one of them alone."""
    left, right = _line(old) if old else None, _line(new) if new else None
    cells = [_cell("diff-old diff-void", ""), _cell("diff-new diff-void", "")]
    if left:
        cells[0] = _cell("diff-old diff-del", _number(left) + _REMOVED + _code(left))
    if right:
        cells[1] = _cell("diff-new diff-add", _number(right, anchor) + _ADDED + _code(right))
    return Row(old=left, new=right, html=_row(*cells))


# By hand and not by a template: a large change has thousands of rows, and a template takes longer for
# each than everything else together. What is not of this file has been escaped.
def _row(old: str, new: str) -> SafeString:
    return mark_safe(f'<div class="diff-row" role="row">{old}{new}</div>')  # noqa: S308


def _cell(kind: str, inner: str) -> str:
    return f'<div class="diff-cell {kind}" role="cell">{inner}</div>'


def _number(line: Line, anchor: str = "") -> str:
    named = f' id="{anchor}-n{line.number}"' if anchor else ""
    return f'<span class="diff-no"{named}>{line.number}</span>'


def _code(line: Line) -> str:
    after = (_RETURN if line.returns else "") + (_END if line.ends_file else "")
    return f'<code class="diff-code" dir="ltr">{line.html}{after}</code>'


def _line(raw: Raw) -> Line:
    return Line(number=raw.number, html=_html(raw), ends_file=raw.ends_file, returns=raw.returns)


def _html(raw: Raw) -> SafeString:
    # Of the whole line: a lexer may cut a word in two, and a lookalike is found by its word.
    odd, start, drawn = set(characters.marks(raw.text)), 0, []
    for marked, runs in _stretches(raw):
        inner = "".join(_coloured(runs, start, odd))
        drawn.append(f"<mark>{inner}</mark>" if marked else inner)
        start += sum(len(text) for _, text in runs)
    return mark_safe("".join(drawn))  # noqa: S308  all of it is escaped or a badge


def _coloured(runs: Iterable[Run], start: int, odd: Collection[int]) -> Iterator[str]:
    for token, text in runs:
        shown = _shown(text, start, odd) if odd else escape(text)
        yield f'<span class="tok-{token}">{shown}</span>' if token else shown
        start += len(text)


def _shown(text: str, start: int, odd: Collection[int]) -> str:
    return "".join(
        hidden.badge(one) if at in odd else escape(one) for at, one in enumerate(text, start)
    )


def _stretches(raw: Raw) -> Iterator[tuple[bool, list[Run]]]:
    """Yield the runs of a line in order, cut where a word that changed begins or ends."""
    if not raw.words:
        yield False, raw.runs
        return
    left, at, marked = raw.runs[::-1], 0, False
    for edge in (*itertools.chain(*raw.words), len(raw.text)):
        taken = []
        while at < edge:
            token, text = left.pop()
            fits, over = text[: edge - at], text[edge - at :]
            if over:
                left.append((token, over))
            taken.append((token, fits))
            at += len(fits)
        if taken:
            yield marked, taken
        marked = not marked
