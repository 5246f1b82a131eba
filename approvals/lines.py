"""The lines of a sealed hunk, by side and number: what a comment stands on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from approvals.models import Side

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of one side of a hunk; unchanged ones are on both."""

    side: str
    number: int
    text: str
    marker: str  # as git has it: of a line that was added, taken out, or left
    at: int  # its row in the hunk's text

    @property
    def anchor(self) -> str:
        """Return what the line is found again by."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def lines_of(hunk: dict[str, Any]) -> Iterator[Line]:
    """Go through the lines of a sealed hunk, the old side of each before the new."""
    old, new = hunk["old_start"], hunk["new_start"]
    for at, line in enumerate(hunk["text"].removesuffix("\n").split("\n")):
        marker, text = line[:1], line[1:]
        if marker == "\\":
            continue  # git's word on the end of the file is no line
        if marker not in {"+", "-"}:
            marker = " "
        if marker != "+":
            yield Line(side=Side.OLD, number=old, text=text, marker=marker, at=at)
            old += 1
        if marker != "-":
            yield Line(side=Side.NEW, number=new, text=text, marker=marker, at=at)
            new += 1


def line_at(hunk: dict[str, Any], side: str, number: int) -> Line | None:
    """Return one line of a sealed hunk, or None when it has no such line."""
    return next(
        (line for line in lines_of(hunk) if (line.side, line.number) == (side, number)), None
    )
