"""How the workspace tools show files to a model: numbered, capped, hidden characters visible."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from projects.characters import reveal, scan, strip

if TYPE_CHECKING:
    from collections.abc import Iterable

RESULT_CHARACTERS = 20_000
LINE_CHARACTERS = 2_000
NOT_TEXT = "{path} is not UTF-8 text ({size:,} bytes); these tools cannot read or change it."


def lines_of(text: str) -> list[str]:
    """Return the lines of a text without their ends; a last empty line is none."""
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]


def numbered(path: str, text: str, first: int, last: int) -> str:
    """Return the lines `first` to `last` with their numbers, and notes on what is not shown."""
    lines = lines_of(text)
    end = min(last or len(lines), len(lines))
    shown: list[str] = []
    size = 0
    for number in range(first, end + 1):
        line = _short(reveal(lines[number - 1]))
        row = f"{number:>5}| {line}" if line else f"{number:>5}|"
        size += len(row) + 1
        if size > RESULT_CHARACTERS:
            break
        shown.append(row)
    reached = first + len(shown) - 1
    return "\n".join([*shown, *_notes(path, text, lines, (first, reached, end))])


def _notes(path: str, text: str, lines: list[str], span: tuple[int, int, int]) -> list[str]:
    first, reached, end = span
    notes = []
    if reached < end:
        notes.append(
            f"[cut: {path} has {len(lines)} lines; call read_file with first={reached + 1}]"
        )
    elif (first, end) != (1, len(lines)):
        notes.append(f"[lines {first} to {end} of {len(lines)}]")
    hidden = sorted({h.line for h in scan(text) if first <= h.line <= reached})
    if hidden:
        named = ", ".join(str(number) for number in hidden[:20])
        notes.append(
            f"[hidden characters, shown as ⟨U+…⟩, in line {named}: edit_file sees the real text, "
            "so change such a line with replace_lines]"
        )
    if "\r\n" in text:
        notes.append("[lines end with CRLF; edits keep that]")
    return notes


def capped(rows: Iterable[str], *, more: str) -> str:
    """Join rows up to the size a result may have; `more` says what is left out, with {n}."""
    listed = list(rows)
    kept: list[str] = []
    size = 0
    for row in listed:
        size += len(row) + 1
        if size > RESULT_CHARACTERS:
            break
        kept.append(row)
    left = len(listed) - len(kept)
    return "\n".join([*kept, *([more.format(n=left)] if left else [])])


def around(line: str, at: int) -> str:
    """Return a line as a search shows it: whole, or the part around the match."""
    start = max(0, at - LINE_CHARACTERS // 4)
    cut = line[start : start + LINE_CHARACTERS // 2]
    return f"{'…' if start else ''}{reveal(cut)}{'…' if start + len(cut) < len(line) else ''}"


def why_no_match(text: str, old: str) -> str:
    """Tell a model what stands where it expected `old`."""
    lines = lines_of(text)
    plain = strip(text)
    if strip(old) in plain and strip(old).strip():
        number = plain.count("\n", 0, plain.index(strip(old))) + 1
        return (
            f"The text is at line {number}, but with hidden characters in it. "
            "Use replace_lines for that line."
        )
    wanted = next((line for line in lines_of(old) if line.strip()), "")
    near = difflib.get_close_matches(wanted, lines[:5_000], n=3, cutoff=0.6)
    if not near:
        return "Nothing like it is in the file. Read the file again and copy the text exactly."
    numbers = sorted({lines.index(line) + 1 for line in near})
    rows = "\n".join(f"{n:>5}| {_short(reveal(lines[n - 1]))}" for n in numbers)
    return f"The nearest lines are:\n{rows}\nCopy the text exactly, without the line numbers."


def _short(line: str) -> str:
    if len(line) <= LINE_CHARACTERS:
        return line
    return f"{line[:LINE_CHARACTERS]}… [{len(line) - LINE_CHARACTERS:,} more characters]"
