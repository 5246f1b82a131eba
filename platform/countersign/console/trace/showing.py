"""Chooses which spans are shown, in which order, and draws their rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from django.utils.safestring import SafeString, mark_safe

from countersign.console.trace.spans import AGENT, ATTEMPT, STEP, TOOL, TURN, Span
from countersign.templatetags.console import amount, duration, usd

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterator

    from countersign.console.trace.axis import Axis
    from countersign.console.trace.tree import Tree
    from countersign.console.trace.wishes import Wish

BY_AGENT_OVER = 400  # spans
ROWS_AT_ONCE = 400
NONE = "\u2013"
_TOP = 10
_GROUP = 50
_MOST_BARS = 120  # of one row: more could not be told apart


class Bar(NamedTuple):
    """One piece of a row's bar."""

    start: float
    end: float | None  # None: it still runs
    css: str


@dataclass(slots=True, kw_only=True)
class Row:
    """One span as it is shown."""

    span: Span
    level: int
    place: int  # among its siblings, from 1
    siblings: int
    open: bool | None  # None: nothing is below
    bar: SafeString
    time: str = ""
    since: str = ""  # of what still runs
    tokens: str = ""
    cost: str = ""
    turn: str = ""  # the address that opens or closes it
    look: str = ""  # the address that shows what is in it
    note: str = ""
    path: str = ""  # where it belongs, in a list without a tree
    chosen: bool = False


@dataclass(kw_only=True)
class Shown:
    """The rows of one answer, and where the next begin."""

    rows: list[Row] = field(default_factory=list)
    total: int = 0
    following: int = 0  # the first row that is not among them; 0: there is none
    next: str = ""  # the address of the rows from there on

    @property
    def groups(self) -> list[list[Row]]:
        """Return the rows in groups a browser lays out one by one."""
        return [self.rows[n : n + _GROUP] for n in range(0, len(self.rows), _GROUP)]


@dataclass(kw_only=True)
class View:
    """Draws one tree for one wish."""

    tree: Tree
    wish: Wish
    axis: Axis
    now: float
    found: Callable[[Span], bool]  # whether the search finds it
    _kept: set[str] | None = None

    def __post_init__(self) -> None:
        """Note what a filter keeps: what it finds, what is above that, and nothing else."""
        if not self.wish.filtered:
            return
        self._kept = set()
        for span in self.tree.spans:
            if self._matches(span):
                above: Span | None = span
                while above is not None and above.key not in self._kept:
                    self._kept.add(above.key)
                    above = above.parent

    @property
    def grouped(self) -> bool:
        """Tell whether there are so many spans that agents stand first, closed."""
        return self.tree.count > BY_AGENT_OVER

    def rows(self) -> Shown:
        """Return the rows of one answer."""
        if self.wish.sort:
            return self._top()
        lines = list(self._lines(self._children(None), 1))
        cut = lines[self.wish.after : self.wish.after + ROWS_AT_ONCE]
        following = self.wish.after + ROWS_AT_ONCE
        return Shown(
            rows=[self._row(*line) for line in cut],
            total=len(lines),
            following=following if following < len(lines) else 0,
            next=self.wish.but(after=following),
        )

    def below(self, key: str) -> Shown:
        """Return the rows that appear when this span is opened."""
        span = self.tree.find(key)
        if span is None:
            return Shown()
        level, above = 1, span.parent
        while above is not None:
            level, above = level + 1, above.parent
        lines = list(self._lines(self._children(span), level + 1))
        rows = [self._row(*line) for line in lines[:ROWS_AT_ONCE]]
        return Shown(rows=rows, total=len(lines))

    def matches(self) -> int:
        """Count what the filter finds."""
        return sum(self._matches(span) for span in self.tree.spans)

    def _matches(self, span: Span) -> bool:
        if self.wish.errors and not span.error:
            return False
        return not self.wish.search or self.found(span)

    def _children(self, span: Span | None) -> list[Span]:
        below = self.tree.roots if span is None else span.children
        return below if self._kept is None else [each for each in below if each.key in self._kept]

    def _is_open(self, span: Span) -> bool:
        itself = self.wish.everything or self.wish.filtered or not self.grouped
        return itself != (span.key in self.wish.turned)

    def _lines(self, spans: list[Span], level: int) -> Iterator[tuple[Span, int, int, int]]:
        for place, span in enumerate(spans, 1):
            yield span, level, place, len(spans)
            if span.children and self._is_open(span):
                yield from self._lines(self._children(span), level + 1)

    def _row(self, span: Span, level: int, place: int, siblings: int) -> Row:
        wish = self.wish
        return Row(
            span=span,
            level=level,
            place=place,
            siblings=siblings,
            open=self._is_open(span) if self._children(span) else None,
            bar=self._bar(span),
            time=took(span.seconds(self.now)),
            since=_iso(span.start) if span.running else "",
            tokens=_tokens(span),
            cost=_cost(span),
            turn=wish.turning(span.key),
            look=wish.but(span=span.key),
            note=span.note,
            chosen=span.key == wish.span,
        )

    def _top(self) -> Shown:
        """Return the ten calls that took or cost most; tokens decide where the price is the same."""
        calls = [span for span in self.tree.spans if span.leaf and span.start is not None]
        calls = [span for span in calls if self._kept is None or self._matches(span)]
        if self.wish.sort == "slowest":
            calls.sort(key=lambda span: -(span.seconds(self.now) or 0))
        else:
            calls = [span for span in calls if span.tokens or span.usd]
            calls.sort(key=lambda span: (-(span.usd or 0), -span.tokens))
        chosen = calls[:_TOP]
        rows = [self._row(span, 1, n, len(chosen)) for n, span in enumerate(chosen, 1)]
        for row in rows:
            row.open, row.path = None, _path(row.span)
        return Shown(rows=rows, total=len(rows))

    def _bar(self, span: Span) -> SafeString:
        drawn = []
        for bar in _bars(span)[:_MOST_BARS]:
            end = self.now if bar.end is None else bar.end
            left, width = self.axis.place(bar.start, end)
            drawn.append(f'<rect class="{bar.css}" x="{left}%" width="{width}%" height="10"/>')
        return mark_safe("".join(drawn))  # noqa: S308  numbers and our own class names


def _bars(span: Span) -> list[Bar]:
    if span.leaf:
        return _bar_of(span)
    if span.kind == TURN:
        return [bar for call in span.children for bar in _bar_of(call)]
    tries = [each for each in span.children if each.kind in (ATTEMPT, STEP)]
    if tries:
        return [bar for each in tries for bar in _bars(each)]
    return _bar_of(span)


def _bar_of(span: Span) -> list[Bar]:
    if span.start is None:
        return []
    css = "tr-tool" if span.kind == TOOL else "tr-work"
    if span.error:
        css = "tr-bad"
    elif span.end is None:
        css += " tr-live"
    return [Bar(span.start, span.end, css)]


def took(seconds: float | None) -> str:
    """Say how long something took, down to milliseconds."""
    if seconds is None:
        return NONE
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)


def _iso(moment: float | None) -> str:
    return datetime.fromtimestamp(moment or 0, UTC).isoformat(timespec="milliseconds")


def _tokens(span: Span) -> str:
    return amount(span.tokens) if span.tokens else ""


def _cost(span: Span) -> str:
    if span.unpriced and not span.usd:
        return "?"
    return usd(span.usd) + ("+" if span.unpriced else "") if span.usd else ""


def _path(span: Span) -> str:
    above, names = span.parent, []
    while above is not None:
        if above.kind != AGENT:
            names.append(above.title)
        above = above.parent
    return ", ".join(reversed(names))


def with_notes(shown: Shown, notes: dict[uuid.UUID, str]) -> Shown:
    """Say of each tool call what it was about."""
    for row in shown.rows:
        if row.span.kind == TOOL and row.span.pk in notes:
            row.note = notes[row.span.pk]
    return shown


def tools_of(shown: Shown) -> list[uuid.UUID]:
    """Return the rows of the tool calls that are shown."""
    return [row.span.pk for row in shown.rows if row.span.kind == TOOL and row.span.pk]
