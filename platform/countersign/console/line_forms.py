"""Comments on lines as the decision's form carries them: five lists side by side, one entry each."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from approvals.decisions import LineComment
from approvals.models import Side
from projects.exceptions import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import QueryDict

_FIELDS = ("say-hunk", "say-side", "say-line", "say-note", "say-to")
_DIGITS = 9  # of a line's number; no hunk has more lines


def said_of_lines(sent: QueryDict) -> list[LineComment]:
    """Return the comments that were written; a form left empty is none.

    Raises InvalidInput for one that names no line, and when a field of one is missing: which agent
    gets which comment cannot be known then.
    """
    if not _whole(sent):
        raise InvalidInput(
            "comments",
            "A comment on a line came without all of its fields. Nothing changed; look at whom each "
            "comment goes to, and send it again.",
        )
    return [_comment(*fields) for fields in _written(sent)]


def typed_on(sent: QueryDict, hunk: str) -> list[dict[str, str]]:
    """Return what was typed on lines of a hunk, to be put back beside it."""
    names = ("side", "line", "note", "to")
    return [dict(zip(names, rest, strict=True)) for of, *rest in _written(sent) if of == hunk]


def _written(sent: QueryDict) -> Iterator[tuple[str, ...]]:
    hunks, sides, numbers, notes, agents = (sent.getlist(name) for name in _FIELDS)
    if not _whole(sent):
        agents = []  # better to its author than to somebody else
    for fields in zip_longest(hunks, sides, numbers, notes, agents, fillvalue=""):
        if fields[3].strip():
            yield fields


def _whole(sent: QueryDict) -> bool:
    return len({len(sent.getlist(name)) for name in _FIELDS}) == 1


def _comment(hunk: str, side: str, line: str, note: str, agent: str) -> LineComment:
    if not (line.isascii() and line.isdigit() and len(line) <= _DIGITS):
        raise InvalidInput("comments", "Say which line a comment is on, by its number.")
    words = note.replace("\r\n", "\n").strip()
    return LineComment(hunk=hunk, side=side or Side.NEW, line=int(line), note=words, goes_to=agent)
