"""What the text of a memory may be: one short claim that a person can see whole."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from projects.exceptions import InvalidInput

MAX_CHARACTERS = 600
# Letters and marks that show as nothing although Unicode does not call them format characters.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800")
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Zl", "Zp"})


def clean(text: object, *, field: str = "content") -> str:
    """Return the text on one line; raise InvalidInput unless a person can read all of it."""
    if not isinstance(text, str):
        raise InvalidInput(field, "This must be a text.")
    one_line = " ".join(_printable(text, field).split())
    if not one_line:
        raise InvalidInput(field, "Write what should be remembered; this is empty.")
    if len(one_line) > MAX_CHARACTERS:
        raise InvalidInput(
            field,
            f"A memory has at most {MAX_CHARACTERS} characters and this has {len(one_line)}. "
            "Keep one claim, or make two memories.",
        )
    return one_line


def clean_line(text: object, *, field: str, longest: int) -> str:
    """Return a subject, path or label without outer blanks; raise InvalidInput by field."""
    if not isinstance(text, str):
        raise InvalidInput(field, "This must be a text.")
    line = " ".join(_printable(text, field).split())
    if len(line) > longest:
        raise InvalidInput(field, f"At most {longest} characters are allowed here.")
    return line


def digest_of(content: str) -> str:
    """Return the digest under which equal statements meet: case, blanks and end marks aside."""
    plain = re.sub(r"[\s.,;:!]+\Z", "", unicodedata.normalize("NFKC", content).casefold())
    return hashlib.sha256(" ".join(plain.split()).encode()).hexdigest()


def _printable(text: str, field: str) -> str:
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise InvalidInput(field, "The text has a NUL or half a surrogate pair; remove it.")
    before = " "
    for position, char in enumerate(text, start=1):
        if _hidden(char, before):
            name = unicodedata.name(char, "no name")
            raise InvalidInput(
                field,
                f"Character {position} is hidden (U+{ord(char):04X}, {name}); remove it, so that "
                "everyone reads the same text.",
            )
        before = char
    return text


def _hidden(char: str, before: str) -> bool:
    if char in "\n\r\t":
        return False
    if char == "\ufe0f":  # asks for the coloured form of the symbol before it
        return unicodedata.category(before) not in {"So", "Sm", "Po", "Nd"}
    return (
        char in _BLANK
        or unicodedata.category(char) in _HIDDEN_CATEGORIES
        or "VARIATION SELECTOR" in unicodedata.name(char, "")
    )
