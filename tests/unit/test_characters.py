"""Hidden characters are found by what Unicode says of them, not by a list of known tricks."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from projects.characters import Hidden, reveal, scan, scan_confusables, strip

TRICKS = {
    "zero width space": "\u200b",
    "zero width joiner": "\u200d",
    "word joiner": "\u2060",
    "right-to-left override": "\u202e",
    "first strong isolate": "\u2068",
    "Arabic letter mark": "\u061c",
    "soft hyphen": "\u00ad",
    "byte order mark": "\ufeff",
    "Hangul filler": "\u3164",
    "Hangul choseong filler": "\u115f",
    "halfwidth Hangul filler": "\uffa0",
    "Mongolian vowel separator": "\u180e",
    "Khmer inherent vowel": "\u17b4",
    "combining grapheme joiner": "\u034f",
    "variation selector": "\ufe0f",
    "supplementary variation selector": "\U000e0100",
    "tag": "\U000e0041",
    "musical beam": "\U0001d173",
    "shorthand format": "\U0001bca0",
    "no-break space": "\u00a0",
    "em space": "\u2003",
    "ideographic space": "\u3000",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "escape": "\x1b",
    "backspace": "\x08",
    "next line": "\x85",
    "private use": "\ue000",
    "unassigned": "\u0378",
    "not a character": "\uffff",
    "lone surrogate": "\ud800",
    "blank Braille": "\u2800",
}


@pytest.mark.parametrize("character", TRICKS.values(), ids=TRICKS)
def test_a_hidden_character_is_found_shown_and_ignored(character):
    text = f"ab\nhalf{character} up"
    found = scan(text)
    assert [(each.line, each.column) for each in found] == [(2, 5)]
    assert found[0].codepoint == f"U+{ord(character):04X}"
    assert reveal(text) == f"ab\nhalf⟨U+{ord(character):04X}⟩ up"
    assert strip(text) in {"ab\nhalf up", "ab\nhalf  up"}


def test_every_character_of_the_hidden_categories_is_found():
    hidden = {"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp", "Zs"}
    missed = [
        f"{number:04X}"
        for number in range(sys.maxunicode + 1)
        if number not in {0x09, 0x0A, 0x0D, 0x20}
        and unicodedata.category(chr(number)) in hidden
        and len(scan(f"a{chr(number)}b")) != 1
    ]
    assert missed == []


@pytest.mark.parametrize(
    "text",
    [
        "plain\ttext\nwith lines\n",
        "windows\r\nlines\r\n",
        "Größe, naïve, œuvre — “quotes”",
        "中文字符、日本語、한국어",
        "العربية עברית हिन्दी ไทย",
        "Ελληνικά Русский",
        "a ≤ b ∑ π 😀",
    ],
)
def test_honest_text_is_left_alone(text):
    assert scan(text) == []
    assert reveal(text) == strip(text) == text


def test_a_lone_carriage_return_is_hidden():
    assert scan("safe\rrm -rf\r\n") == [Hidden(1, 5, "U+000D", "CARRIAGE RETURN")]
    assert reveal("safe\rrm\r\n") == "safe⟨U+000D⟩rm\r\n"
    assert reveal("end\r") == "end\r"


def test_names_are_given_even_where_unicode_has_none():
    names = {each.name for each in scan("\x00\x1b\u200b\ue000\u0378\x85")}
    assert names == {
        "NULL",
        "ESCAPE",
        "ZERO WIDTH SPACE",
        "PRIVATE USE CHARACTER",
        "UNASSIGNED CHARACTER",
        "CONTROL CHARACTER",
    }


def test_lookalikes_inside_latin_words_are_found():
    found = scan_confusables("ok\nif p\u0430ssword == \u0441ode:")
    assert [(each.line, each.column, each.codepoint) for each in found] == [
        (2, 5, "U+0430"),
        (2, 16, "U+0441"),
    ]


@pytest.mark.parametrize("text", ["Москва и Paris", "Δx and λ", "μm", "αβγ", "naïve"])
def test_other_scripts_beside_latin_words_are_no_lookalikes(text):
    assert scan_confusables(text) == []
