"""The text rules of memories."""

from __future__ import annotations

import pytest

from memory.texts import MAX_CHARACTERS, clean, clean_line, digest_of
from projects.exceptions import InvalidInput


@pytest.mark.parametrize(
    "text",
    ["", "   ", "\n\t ", "a\0b", "a\ud800b", "x" * (MAX_CHARACTERS + 1), None, 7, ["a"]],
)
def test_text_that_is_no_short_statement_is_refused(text):
    with pytest.raises(InvalidInput) as refused:
        clean(text)
    assert refused.value.field == "content"


@pytest.mark.parametrize(
    "hidden",
    [
        "\u200b",  # zero-width space
        "\u200d",  # joiner
        "\u202e",  # right-to-left override
        "\u2066",  # isolate
        "\ufeff",  # byte-order mark
        "\u00ad",  # soft hyphen
        "\u3164",  # Hangul filler
        "\u2028",  # line separator
        "\ufe00",  # variation selector
        "\ue000",  # private use
        "\U000e0041",  # tag letter
        "\x07",
    ],
)
def test_hidden_character_is_refused_with_its_place_and_code_point(hidden):
    with pytest.raises(InvalidInput, match=rf"Character 5 is hidden \(U\+{ord(hidden):04X}"):
        clean(f"half{hidden} up")


@pytest.mark.parametrize(
    "text", ["naïve café", "ein Übermaß", "四捨五入は一度だけ", "done ⚠️", "a → b"]
)
def test_visible_text_of_any_language_is_taken_as_it_is(text):
    assert clean(text) == text


def test_blanks_and_line_breaks_become_single_blanks():
    assert clean("  Round\n once\u00a0only.\t") == "Round once only."
    assert clean("x" * MAX_CHARACTERS) == "x" * MAX_CHARACTERS


@pytest.mark.parametrize("same", ["round  ONCE.", "Round once", "round once !", "\uff32ound once"])
def test_equal_statements_have_one_digest(same):
    assert digest_of(same) == digest_of("Round once.")


def test_different_statements_have_different_digests():
    assert digest_of("Round once.") != digest_of("Round twice.")


def test_line_may_be_empty_but_not_long():
    assert clean_line("", field="subject", longest=10) == ""
    with pytest.raises(InvalidInput) as refused:
        clean_line("x" * 11, field="subject", longest=10)
    assert refused.value.field == "subject"
