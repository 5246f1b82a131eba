"""What people ask of a step, as its row keeps it: each hunk once, and no more than can be told."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from agents import storable
from agents.messages import MAX_ASKED
from projects.exceptions import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agents.models import Hunk
    from agents.rounds import Feedback

MOST_CHARACTERS = 50_000  # in a prompt this leaves room for the step and the whole request
_FRAME = MOST_CHARACTERS // MAX_ASKED  # what a prompt spends on each thing besides its words
_AROUND = 6  # lines shown before and after one that is commented on
_LONGEST_LINE = 400
_WORDS = ("note", "line", "path", "place", "by")


def kept(asked: Sequence[Feedback], *, of: str, round_number: int) -> list[dict[str, Any]]:
    """Return what one step is asked, in the order its agent is told and answers by number.

    The first thing about a hunk carries it, the others its number. Raises InvalidInput when all of
    it does not fit into a prompt.
    """
    about: dict[Any, list[int | None]] = {}
    for one in asked:
        if one.hunk is not None:
            about.setdefault(one.hunk.pk, []).append(one.at)
    first: dict[Any, int] = {}
    facts = []
    for number, one in enumerate(asked, 1):
        shown = first.setdefault(one.hunk.pk, number) if one.hunk else number
        text = _shown(one.hunk, about[one.hunk.pk]) if one.hunk and shown == number else ""
        same = {"hunk_of": shown} if shown != number else {}
        facts.append(_facts(one) | {"hunk": text, "round": round_number} | same)
    _fits(facts, of)
    return facts


def _fits(facts: list[dict[str, Any]], of: str) -> None:
    size = sum(_FRAME + sum(len(one.get(word, "")) for word in _WORDS) for one in facts)
    if size > MOST_CHARACTERS:
        raise InvalidInput(
            "comments",
            f"What you ask of {of} comes to {size:,} characters with the lines it is about; "
            f"{MOST_CHARACTERS:,} can be told at once. Nothing was sent. Say it in fewer words, "
            "or leave some of it for the next round.",
        )


def _facts(one: Feedback) -> dict[str, Any]:
    more = {"place": one.place, "line": storable.text(one.line)} if one.place else {}
    if one.comment:
        more["comment"] = one.comment
    return more | {
        "note": storable.text(one.note),
        "path": storable.text(one.path or (one.hunk.file.path if one.hunk else "")),
        "by": one.by,
    }


def _shown(hunk: Hunk, at: Iterable[int | None]) -> str:
    """Return all of a hunk that somebody spoke of as a whole, else some lines around each place."""
    rows = hunk.text.removesuffix("\n").split("\n")
    near: set[int] = set()
    for place in at:
        if place is None:
            return hunk.text
        last = min(place, len(rows) - 1)  # the rows may not be what was sealed
        near.update(range(last - _AROUND, last + _AROUND + 1))
    shown = [row for row in range(len(rows)) if row in near]
    return hunk.text if len(shown) == len(rows) else "".join(_pieces(hunk, rows, shown))


def _pieces(hunk: Hunk, rows: list[str], shown: list[int]) -> Iterator[str]:
    """Write lines that stand together under a header that says where they are, as git does."""
    for _, together in groupby(enumerate(shown), key=lambda pair: pair[1] - pair[0]):
        piece = [row for _, row in together]
        before, inside = rows[: piece[0]], [rows[row] for row in piece]
        old = _range(hunk.old_start + _of_side(before, "+"), _of_side(inside, "+"))
        new = _range(hunk.new_start + _of_side(before, "-"), _of_side(inside, "-"))
        yield f"@@ -{old} +{new} @@\n"
        yield from (f"{_cut(row)}\n" for row in inside)


def _range(start: int, length: int) -> str:
    # Of no lines, git names the one before.
    return f"{start if length else max(0, start - 1)},{length}"


def _of_side(rows: list[str], other: str) -> int:
    return sum(row[:1] not in (other, "\\") for row in rows)


def _cut(row: str) -> str:
    return row if len(row) <= _LONGEST_LINE else f"{row[: _LONGEST_LINE - 1]}…"
