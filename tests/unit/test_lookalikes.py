"""A letter that passes for a Latin one is found by the word it stands in; honest words are left alone."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from projects import characters, lookalikes

SCRIPT = Path(__file__).resolve().parents[2] / "static/js/characters.js"


def marked(text: str) -> str:
    return "".join(text[at] for at in characters.marks(text))


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("pa\u04cfette = 1", "\u04cf"),
        ("pa\u04c0ette", "\u04c0"),
        ("to\u043aen", "\u043a"),
        ("\u0475alue", "\u0475"),
        ("pass\u0436word", "\u0436"),
        ("user_\u0430", "\u0430"),
        ("\u13aaval", "\u13aa"),
        ("\ua4f0val", "\ua4f0"),
        ("\u2c9fpen", "\u2c9f"),
        ("sy\u057d", "\u057d"),
        ("a\u0d20b", "\u0d20"),
        ("s\u03c4ring", "\u03c4"),
        ("\uff45\uff56\uff41l(input())", "\uff45\uff56\uff41"),
        ("\uff45\uff56\uff41\uff4c(x)", "\uff45\uff56\uff41\uff4c"),
        ("total\uff11", "\uff11"),
        ("\U0001d41eval(x)", "\U0001d41e"),
        ("\U0001d52c\U0001d52d", "\U0001d52c\U0001d52d"),
        ("x\U0001d7ce", "\U0001d7ce"),
        ("e\u24e5al", "\u24e5"),
        ("\u24d4\u24e5\u24d0\u24db", "\u24d4\u24e5\u24d0\u24db"),
        ("pri\u207ft(x)", "\u207f"),
        ("ev\u00aal(x)", "\u00aa"),
        ("eva\u217c(x)", "\u217c"),
        ("\ufb01le", "\ufb01"),
        ("\u212aey", "\u212a"),
        ("a\u017fsert", "\u017f"),
        ("p\u0251ssword", "\u0251"),
        ("\u0261et", "\u0261"),
        ("\u1d07val", "\u1d07"),
        ("is_adm\u0131n", "\u0131"),
        ("isAdm\u0131n", "\u0131"),
        ("adm\u0131n(x)", "\u0131"),
        ("\u0430\u0440\u0435 = 1", "\u0430\u0440\u0435"),
        ("rows.\u0441\u043e\u0440\u0443", "\u0441\u043e\u0440\u0443"),
        ("def \u0430(b):", "\u0430"),
        ("pay(a, \u0430)", "\u0430"),
        ("if \u0430 == 1:", "\u0430"),
    ],
)
def test_a_letter_that_passes_for_another_is_marked(text, letters):
    assert marked(text) == letters
    assert "".join(chr(int(e.codepoint[2:], 16)) for e in characters.scan_confusables(text)) == (
        letters
    )


@pytest.mark.parametrize(
    "text",
    [
        "Москва и Paris, USB-порт, имя user_имя",
        "сор и ухо, хор. со мной; (с) 2020; он — оно. ее. у.е. и т.е.",  # noqa: RUF001
        "Γειά σου Κόσμε: ο και να οι αν",  # noqa: RUF001
        "Δx, λ, μm, \u00b5s, k\u2126, kΩ, Ω, ΔT, α = 0.05, σ_x = 2",  # noqa: RUF001
        "Größe Straße, naïve œuvre à l'été, cafe\u0301, Việt Nam đường, Łódź",
        "Yılmaz kız sınıf yazılımı İstanbul",  # noqa: RUF001
        "中文API说明、第Ⅲ章、ＰＤＦファイル、Ａ社、한국어API、ใช้API",
        "العربية עברית हिन्दी \ufdfa",
        "x² nº 1ª 2ⁿ xⁿ 1ˢᵗ XXᵉ CO₂ 10⁻³ log₂n aᵢ",
        "x ∈ \u211d, \u211d³, \u2113, 20℃ ™ № ½ Ⓜ 🅰 😀",
        "ⅩⅣ Ⅲ",
    ],
)
def test_honest_words_of_all_writings_are_left_alone(text):
    assert marked(text) == ""


def test_the_browser_has_the_same_letters():
    script = SCRIPT.read_text()
    for name in ("cyrillic", "armenian", "greek", "rare", "foreign", "inside", "latin", "raised"):
        (found,) = re.findall(rf"^const {name} =\s+(.*?);$", script, re.MULTILINE | re.DOTALL)
        told = "".join(re.findall(r'"(.*?)"', found))
        letters = re.sub(r"\\u(?:\{(\w+)\}|(\w{4}))", lambda e: chr(int(e[1] or e[2], 16)), told)
        assert letters == getattr(lookalikes, f"_{name.upper()}"), name


@pytest.mark.parametrize(
    "word", ["\u0430", "\u0430b", "\u207f", "\u0131x", "\U0001d41e", "\u0430("]
)
def test_a_long_word_is_looked_at_in_no_time(word):
    begun = time.process_time()
    characters.marks(word * 50_000)
    assert time.process_time() - begun < 2
