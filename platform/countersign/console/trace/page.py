"""Everything the trace page shows, from rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone

from countersign.console import looks, sentences
from countersign.console.trace import finding, reading
from countersign.console.trace.axis import axis_of
from countersign.console.trace.detail import detail_of
from countersign.console.trace.showing import BY_AGENT_OVER, Shown, View, took, with_notes
from countersign.console.trace.showing import tools_of as _tools_of
from countersign.console.trace.tree import build
from countersign.console.trace.wishes import SORTS, Wish

if TYPE_CHECKING:
    from django.http import QueryDict

    from agents.models import Task
    from countersign.console.trace.axis import Axis
    from countersign.console.trace.reading import Counts, Rows
    from countersign.console.trace.spans import Span
    from projects.models import User

_PINNED = 5  # errors named above the rows


class Page:
    """The trace of one task as one person asked for it."""

    def __init__(self, task: Task, user: User, query: QueryDict) -> None:
        self.task, self.user = task, user
        self.wish = Wish.read(query)
        self.now = timezone.now().timestamp()
        self.rows = reading.read(task)
        self.tree = build(self.rows, by_agent_over=BY_AGENT_OVER)
        self.axis = _axis(self.rows, self.now)

    def drawn(self) -> dict[str, Any]:
        """Return the context of the whole page."""
        view = self._view()
        shown = self._named(view.rows())
        return {
            **head_of(self.task, self.rows.counts),
            **self.drawer(),
            "shown": shown,
            "axis": self._ticks(),
            "breaks": [(each, took(each.seconds)) for each in self.axis.breaks],
            "sorts": [
                (word, self.wish.but(sort=key), key == self.wish.sort)
                for key, word in SORTS.items()
            ],
            "count": self.tree.count,
            "errors": self.tree.errors,
            "pinned": self._pinned(),
            "grouped": view.grouped,
            "matches": view.matches() if self.wish.filtered else 0,
            "began": any(self.rows.attempts.values()),
            "rows_read": sum(self.rows.counts),
            "links": self._links(grouped=view.grouped),
        }

    def part(self) -> dict[str, Any]:
        """Return the context of the next rows."""
        return {"wish": self.wish, "shown": self._named(self._view().rows())}

    def below(self, key: str) -> dict[str, Any]:
        """Return the context of the rows that appear when a span is opened."""
        return {"wish": self.wish, "shown": self._named(self._view().below(key))}

    def drawer(self) -> dict[str, Any]:
        """Return the context of the drawer."""
        span = self._span(self.wish.span)
        detail = detail_of(self.task, span, self.user, whole=self.wish.whole) if span else None
        return {
            "wish": self.wish,
            "detail": detail,
            "took": took(span.seconds(self.now)) if span else "",
            "close": self.wish.but(span=""),
            "whole": self.wish.but(whole=True),
        }

    def _view(self) -> View:
        found = finding.finder(self.task, self.wish.search)
        return View(tree=self.tree, wish=self.wish, axis=self.axis, now=self.now, found=found)

    def _named(self, shown: Shown) -> Shown:
        return with_notes(shown, finding.notes_of(_tools_of(shown)))

    def _span(self, key: str) -> Span | None:
        return self.tree.find(key) if key else None

    def _pinned(self) -> list[tuple[Span, str]]:
        wrong = (span for span in self.tree.spans if span.error)
        return [
            (span, self.wish.but(span=span.key))
            for span, _ in zip(wrong, range(_PINNED), strict=False)
        ]

    def _ticks(self) -> list[tuple[int, str]]:
        return [(place, took(seconds) if place else "0") for place, seconds in self.axis.ticks]

    def _links(self, *, grouped: bool) -> dict[str, str]:
        wish = self.wish
        return {
            "errors": wish.but(errors=not wish.errors),
            "all_errors": wish.but(errors=True, sort=""),
            "open": wish.but(everything=grouped and not wish.everything, turned=()),
            "clear": wish.but(search="", errors=False),
        }


def _axis(rows: Rows, now: float) -> Axis:
    return axis_of(
        (each.started_at.timestamp(), each.finished_at.timestamp() if each.finished_at else now)
        for tries in rows.attempts.values()
        for each in tries
    )


def head_of(task: Task, counts: Counts) -> dict[str, Any]:
    """Return what stands above the rows, and changes while the task runs.

    A rehearsal is billed for no call, so its answers are counted by their rows.
    """
    return {
        "here": "tasks",
        "task": task,
        "seq": task.last_seq,
        "look": looks.of_task(task, word=sentences.word_now(task)),
        "model_calls": counts.answers if task.rehearsal else task.model_calls,
        "tokens": task.input_tokens + task.output_tokens,
    }


def news_of(task: Task, shown: int) -> dict[str, Any]:
    """Return what came since a page of so many rows was made."""
    counts = reading.count(task)
    return {**head_of(task, counts), "new": max(0, sum(counts) - shown)}
