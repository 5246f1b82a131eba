"""Looks at how lines end: a carriage return is seen by no reader, and makes every line another."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from agents.cautions.lines import shown
from agents.cautions.listing import warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.cautions.listing import Caution
    from agents.workspace.diffs import FileDiff

_Lines = Counter[tuple[str, bool]]  # by text, and whether a carriage return ends it


def look(file: FileDiff) -> Iterator[Caution]:
    """Yield that lines of a file that was there end otherwise than before, or than those around."""
    if not file.old_blob or not file.new_blob or not any("\r\n" in h.text for h in file.hunks):
        return
    old, new, around = _sorted(file)
    to_crlf, to_lf = _turned(old, new, crlf=True), _turned(old, new, crlf=False)
    turned = to_crlf + to_lf
    if turned:
        ways = [words for many, words in ((to_crlf, "LF to CRLF"), (to_lf, "CRLF to LF")) if many]
        lines = "1 line" if turned == 1 else f"{turned:,} lines"
        only = turned == file.added == file.removed
        text = f"the line endings of {lines} change from {' and '.join(ways)}"
        said = (
            f"Only {text}." if only else f"{text[0].upper()}{text[1:]}, beside what else changes."
        )
        yield warning("line_endings", shown(file.path), 0, said)
    elif odd := _odd(old + around, new):
        yield warning("line_endings", shown(file.path), 0, odd)


def _sorted(file: FileDiff) -> tuple[_Lines, _Lines, _Lines]:
    """Return the lines that go, those that come and those that stay; without those that do not end."""
    found: dict[str, _Lines] = {"-": Counter(), "+": Counter(), " ": Counter()}
    for hunk in file.hunks:
        lines = hunk.lines
        for line, after in zip(lines, [*lines[1:], ""], strict=True):
            if line[:1] in found and not after.startswith("\\"):
                found[line[0]][line[1:].removesuffix("\r"), line.endswith("\r")] += 1
    return found["-"] - found["+"], found["+"] - found["-"], found[" "]


def _turned(old: _Lines, new: _Lines, *, crlf: bool) -> int:
    """Return how many lines are the same but for their end."""
    return sum(min(many, old[text, not ends]) for (text, ends), many in new.items() if ends == crlf)


def _odd(before: _Lines, new: _Lines) -> str:
    ends = {crlf for _, crlf in before}
    if len(ends) != 1:
        return ""
    (crlf,) = ends
    many = sum(count for (_, other), count in new.items() if other != crlf)
    ours, theirs = ("LF", "CRLF") if crlf else ("CRLF", "LF")
    lines = "1 new line ends" if many == 1 else f"{many:,} new lines end"
    return f"{lines} in {ours}, those around in {theirs}." if many else ""
