"""One character of each class that a reader does not see, or takes for another."""

from __future__ import annotations

CLASSES = {
    "zero width space": "\u200b",
    "zero width joiner": "\u200d",
    "zero width non-joiner": "\u200c",
    "word joiner": "\u2060",
    "bidirectional override": "\u202e",
    "bidirectional embedding": "\u202a",
    "bidirectional isolate": "\u2067",
    "directional mark": "\u200f",
    "Arabic letter mark": "\u061c",
    "soft hyphen": "\u00ad",
    "byte order mark": "\ufeff",
    "Hangul filler": "\u3164",
    "Mongolian vowel separator": "\u180e",
    "Khmer inherent vowel": "\u17b4",
    "combining grapheme joiner": "\u034f",
    "variation selector": "\ufe0f",
    "supplementary variation selector": "\U000e0100",
    "tag": "\U000e0041",
    "musical format": "\U0001d173",
    "shorthand format": "\U0001bca0",
    "interlinear annotation": "\ufffa",
    "blank Braille": "\u2800",
    "wide space": "\u2003",
    "no-break space": "\u00a0",
    "line separator": "\u2028",
    "C0 control": "\x1b",
    "C1 control": "\x85",
    "private use": "\ue000",
    "unassigned": "\u0378",
    "lookalike letter": "\u0430",
    "letter of another alphabet": "\u0436",
    "Cherokee letter": "\u13a5",
    "full-width letter": "\uff45",
    "mathematical letter": "\U0001d41e",
    "letter in a circle": "\u24d4",
    "Roman numeral": "\u217c",
    "Latin letter of phonetics": "\u0261",
}
EVERY = "".join(f"p{character}y " for character in CLASSES.values()).strip()


def code(character: str) -> str:
    """Return what marks a character in every place."""
    return f"U+{ord(character):04X}"
