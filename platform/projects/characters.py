"""Finds characters a reader does not see, or takes for others, and makes them visible."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from projects import lookalikes

if TYPE_CHECKING:
    from collections.abc import Iterator

# Letters and marks that are drawn as nothing, although their category says otherwise.
_BLANK = {
    0x034F,
    0x115F,
    0x1160,
    0x17B4,
    0x17B5,
    *range(0x180B, 0x1810),
    0x2800,
    0x3164,
    *range(0xFE00, 0xFE10),
    0xFFA0,
    0x1D159,
    *range(0xE0100, 0xE01F0),
}
_HIDDEN = {"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"}
_ODD = re.compile("[^\t\n -~]")  # all that is not plain ASCII: only that need be looked at
_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_SYMBOL = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2934\u2935"
    "\u2b00-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)
_JOINING = "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\u0900-\u0dff"  # Arabic, and scripts of India
# What stands where its writing asks for it: emoji and joined letters, and a blank that no line ends at.
_ORDINARY = re.compile(
    f"(?<=[{_SYMBOL}])\ufe0f|(?<=[{_SYMBOL}\ufe0f])\u200d(?=[{_SYMBOL}])|(?<=[0-9#*])\ufe0f(?=\u20e3)"
    f"|(?<=[{_JOINING}])[\u200c\u200d](?=[{_JOINING}])"
    r"|(?<=\S)[\u00a0\u202f](?=\S)"
)
_LONG_NAMES = {
    0x00: "NULL",
    0x07: "BELL",
    0x08: "BACKSPACE",
    0x0D: "CARRIAGE RETURN",
    0x1B: "ESCAPE",
    0x7F: "DELETE",
}


@dataclass(frozen=True, slots=True)
class Hidden:
    """One character that is not what it seems; line and column count from 1."""

    line: int
    column: int
    codepoint: str
    name: str


@lru_cache(maxsize=4_096)
def is_hidden(character: str) -> bool:
    """Tell whether a character shows as nothing, as a blank, or turns the text around."""
    if character in "\t\n\r ":
        return False  # a lone carriage return is found by scan(), which sees its neighbour
    category = unicodedata.category(character)
    return category in _HIDDEN or category == "Zs" or ord(character) in _BLANK


def scan(text: str) -> list[Hidden]:
    """Return every hidden character, in order."""
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        body = line.removesuffix("\r")
        if body.isascii() and body.isprintable():
            continue
        found += [
            Hidden(number, column, code(character), name_of(character))
            for column, character in enumerate(body, start=1)
            if character == "\r" or is_hidden(character)
        ]
    return found


def scan_confusables(text: str) -> list[Hidden]:
    """Return letters that pass for Latin ones where they stand, in order."""
    return [
        Hidden(number, at + 1, code(line[at]), name_of(line[at]))
        for number, line in enumerate(text.split("\n"), start=1)
        if not line.isascii()
        for at in lookalikes.find(line)
    ]


def marks(text: str) -> list[int]:
    """Return where a character stands that is hidden, or passes for another; in order."""
    if not _ODD.search(text):
        return []
    found = [
        odd.start()
        for odd in _ODD.finditer(text)
        if is_hidden(odd[0]) or (odd[0] == "\r" and text[odd.end() : odd.end() + 1] != "\n")
    ]
    alike = lookalikes.find(text)
    return sorted(found + alike) if alike else found


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the text in order as runs of plain text and single characters to be marked."""
    start = 0
    for at in marks(text):
        if at > start:
            yield text[start:at], False
        yield text[at], True
        start = at + 1
    if start < len(text):
        yield text[start:], False


def plain(text: str) -> str:
    """Return the text as it is shown where no element can stand; a lookalike stays readable."""
    found = (_named(piece) if marked else piece for piece, marked in pieces(text))
    return "".join(found) if _ODD.search(text) else text


def is_odd(text: str) -> bool:
    """Tell whether the text is more than plain ASCII: only that can hide anything."""
    return _ODD.search(text) is not None


def without_ordinary(text: str) -> str:
    """Return prose with blanks for what only its writing asks for; lines and columns stay."""
    return _ORDINARY.sub(" ", text)


def turns(text: str) -> bool:
    """Tell whether the text has letters that are written from right to left."""
    return _RIGHT_TO_LEFT.search(text) is not None


def seen(character: str) -> str:
    """Return what a person sees of a marked character: the letter that passes for another."""
    return character if character.isprintable() and not is_hidden(character) else ""


def reveal(text: str) -> str:
    """Return the text with every hidden character shown as ⟨U+200B⟩. Lines stay lines."""
    if text.isascii() and text.isprintable():
        return text
    shown = "".join(f"⟨{code(c)}⟩" if is_hidden(c) else c for c in text)
    return re.sub(r"\r(?!\n|\Z)", "⟨U+000D⟩", shown)


def strip(text: str) -> str:
    """Return the text as a search should see it: blanks are spaces, the invisible is gone."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_plain(c) if is_hidden(c) else c for c in text)


def says_nothing(text: str) -> bool:
    """Tell whether a person would see nothing of it: blanks, or only what is invisible."""
    return not any(map(_shows, text))


def _shows(character: str) -> bool:
    return not character.isspace() and not is_hidden(character)


def code(character: str) -> str:
    """Return the code point the way Unicode writes it, e.g. U+200B."""
    return f"U+{ord(character):04X}"


def name_of(character: str) -> str:
    """Return the name of a character, in capitals as Unicode has it."""
    known = _LONG_NAMES.get(ord(character)) or unicodedata.name(character, "")
    kinds = {"Cc": "CONTROL CHARACTER", "Co": "PRIVATE USE CHARACTER", "Cs": "LONE SURROGATE"}
    return known or kinds.get(unicodedata.category(character), "UNASSIGNED CHARACTER")


def _named(character: str) -> str:
    return f"{seen(character)}⟨{code(character)}⟩"


def _plain(character: str) -> str:
    return " " if unicodedata.category(character) in {"Zs", "Zl", "Zp"} else ""
