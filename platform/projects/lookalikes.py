"""Finds letters that pass for Latin ones, by the word they stand in.

The lists were held against Unicode's table of confusables. The packages that bring it take 10 MB and a
quarter of a second of each process (or a whole ICU), weigh single letters only, so that Russian is as
suspect as a forged name, and mark nothing in a browser: static/js/characters.js has the same rules.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of alphabets people write in: the letters that look Latin.
_CYRILLIC = (
    "\u0405\u0406\u0408\u0410\u0412\u0415\u041a\u041c-\u041e\u0420-\u0423\u0425\u0430\u0435\u043a\u043e"
    "\u0440\u0441\u0443\u0445\u0455\u0456\u0458\u0461\u0474\u0475\u04ae\u04af\u04bb\u04bd\u04c0\u04cf"
    "\u0501\u050c\u051b-\u051d\ua647"
)
_ARMENIAN = "\u054d\u054f\u0555\u0561\u0563\u0566\u0570\u0578\u057c\u057d\u0581\u0584\u0585"
_GREEK = (
    "\u037f\u0391\u0392\u0395-\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03b1\u03b9"
    "\u03ba\u03bd\u03bf\u03c1\u03c5\u03d2\u03dc\u03f1-\u03f3\u03f9\u03fa\u1d26\u1fbe"
)
# Alphabets that no identifier or word of ours has beside Latin letters, and single letters of others:
# Cherokee, Canadian, runes, Coptic, Tifinagh, Lisu, Bamum, and the old ones.
_RARE = (
    "\u0b20\u0d20\u101d\u10e7\u10ff\u1200\u12d0\u13a0-\u167f\u16a0-\u16ff\u2c80-\u2cff\u2d30-\u2d7f"
    "\ua4d0-\ua4ff\ua6a0-\ua6ff\uab70-\uabbf\U00010280-\U0001057f\U000118a0-\U000118ff"
    "\U00016e40-\U00016e9f\U00016f00-\U00016f9f"
)
# All of the alphabets that are mixed into a word by nobody.
_FOREIGN = (
    "\u0400-\u0481\u048a-\u052f\u0531-\u0587\u10a0-\u10ff\u1c80-\u1cbf\ua640-\ua66d\ua680-\ua69d"
)
_INSIDE = (
    "\u03b2\u03b3\u03b5\u03b7\u03c3\u03c4\u03c7\u03c9"  # Greek; before a name they are symbols
)
# Latin letters that are read as ASCII ones, small capitals too.
_LATIN = (
    "\u0131\u0138\u0184\u0196\u01a6\u01bd\u01c0\u0251\u0261\u0262\u0269\u026a\u0274\u0280\u028b\u028f"
    "\u0299\u029c\u029f\u1d00\u1d04\u1d05\u1d07\u1d0a-\u1d0d\u1d0f\u1d11\u1d18\u1d1b\u1d1c\u1d20-\u1d22"
    "\u1d83\u1d8c\u1e9d\ua730\ua731\ua798\ua799\ua79f\ua7b2-\ua7b4\uab32\uab35\uab3d\uab47\uab48\uab4e"
    "\uab52\uab5a"
)
# Forms of ASCII letters that programs may take for these (NFKC): raised, full width, mathematical, in circles.
_RAISED = (
    "\u00aa\u00b2\u00b3\u00b9\u00ba\u02b0-\u02b8\u02e1-\u02e3\u1d2c-\u1d6a\u1d9c-\u1dbf\u2070-\u209c"
    "\u2c7c\u2c7d\ua7f2-\ua7f4"
)
_NUMERALS = "\u2160-\u217f"
_WIDE = "\uff10-\uff19\uff21-\uff3a\uff41-\uff5a"
_MATHEMATICAL = "\U0001d400-\U0001d7ff"
_FORMS = (
    f"{_RAISED}{_NUMERALS}{_WIDE}{_MATHEMATICAL}\u0132\u0133\u013f\u0140\u0149\u017f\u01c4-\u01cc"
    "\u01f1-\u01f3\u1e9a\u2100-\u214f\u249c-\u24e9\ufb00-\ufb06\U0001f110-\U0001f149"
)
_SUSPECT = re.compile(f"[{_CYRILLIC}{_ARMENIAN}{_GREEK}{_RARE}{_FOREIGN}{_INSIDE}{_LATIN}{_FORMS}]")

_WORD = re.compile("[\\w\u249c-\u24e9\U0001f110-\U0001f149]+")
_PART = re.compile(r"[^\W_]+")
_ASCII = re.compile("[A-Za-z]")
_ALIKE = re.compile(f"[{_CYRILLIC}{_ARMENIAN}{_GREEK}{_RARE}]")
_MIXED = re.compile(f"[{_FOREIGN}]|(?<=[A-Za-z])[{_INSIDE}](?=[A-Za-z])")
_READ_AS_ASCII = re.compile(f"[{_LATIN}]")
_FORM = re.compile(f"[{_FORMS}]")
# Digits and Greek letters in other shapes.
_SHAPE = re.compile("[\uff10-\uff19\U0001d6a8-\U0001d7ff]")
# x², nº, 1ᵉʳ, XXᵉ: what is raised behind a number or a letter or two is a sign.
_SIGN = re.compile(f"(?:[0-9]+|[^\\W\\d_]{{1,2}})[{_RAISED}]+")
_ONLY_NUMERALS = re.compile(f"[{_NUMERALS}0-9]+")
_IDEOGRAPHS = re.compile(
    "[\u3005-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]"
)
# Whole words of such letters: only where a program names something, for other places have honest ones.
_EXACT = f"{_CYRILLIC}{_ARMENIAN}{_RARE}"
_WHOLE = re.compile(f"[{_EXACT}][{_EXACT}0-9_]*|[{_GREEK}][{_GREEK}0-9_]+")
_NAMED_AFTER = re.compile(r" ?(?:=|[-+*/|&^%:!<>]=)|[(\[]|\.[A-Za-z_]")
_NAMED_BEFORE = re.compile(
    r"(?:[A-Za-z0-9_)\]]\.|[A-Za-z0-9_]\((?:[A-Za-z_]\w*, ?)*"
    r"|\b(?:def|class|function|fn|func|import|from|let|const|var|return|if|not|struct|enum|type) )$"
)
_BEFORE = 60  # characters that are looked at to tell
_DOTLESS = "\u0131"  # an honest letter of Turkish words, though not of names in programs


def find(text: str) -> list[int]:
    """Return where in the text letters stand that pass for others; in order."""
    if not _SUSPECT.search(text):
        return []
    return [
        word.start() + at
        for word in _WORD.finditer(text)
        if not word[0].isascii() and _SUSPECT.search(word[0])
        for at in sorted(_of_word(text, word))
    ]


def _of_word(text: str, word: re.Match[str]) -> set[int]:
    said = word[0]
    found = set(_forms(said)) if _FORM.search(said) else set()
    if _ASCII.search(said):
        found |= {each.start() for each in _ALIKE.finditer(said)}
        found |= set(_mixed(said))
    elif not found and _WHOLE.fullmatch(said) and _is_named(text, word):
        found = {at for at, each in enumerate(said) if each.isalpha()}
    return found | _latin(text, word, found) if _READ_AS_ASCII.search(said) else found


def _mixed(said: str) -> Iterator[int]:
    """Yield where letters of other alphabets stand in one part of a word with Latin ones."""
    for part in _PART.finditer(said):
        if _ASCII.search(part[0]):
            yield from (part.start() + each.start() for each in _MIXED.finditer(part[0]))


def _latin(text: str, word: re.Match[str], found: set[int]) -> set[int]:
    """Return where Latin letters stand that are read as ASCII, in a word that is nothing else."""
    said = word[0]
    alike = {each.start() for each in _READ_AS_ASCII.finditer(said)}
    rest = [each for at, each in enumerate(said) if at not in alike and at not in found]
    if not "".join(rest).isascii() or len(said) < 2:
        return set()
    if any(said[at] != _DOTLESS for at in alike) or found:
        return alike
    named = "_" in said or (any(each.isupper() for each in said[1:]) and not said.isupper())
    return alike if named or _is_named(text, word) else set()


def _forms(said: str) -> Iterator[int]:
    """Yield where forms of ASCII letters stand, unless people write the word so."""
    if len(said.strip("_")) < 2:
        return
    latin = _ASCII.search(said)
    if _ONLY_NUMERALS.fullmatch(said) or _SIGN.fullmatch(said):
        return
    if not latin and _IDEOGRAPHS.search(said):
        return
    for each in _FORM.finditer(said):
        meant = unicodedata.normalize("NFKC", each[0])
        if _ASCII.search(meant) or (latin and _SHAPE.match(each[0])):
            yield each.start()


def _is_named(text: str, word: re.Match[str]) -> bool:
    """Tell whether a program names something here: a call, a field, an assignment, a definition."""
    if _NAMED_AFTER.match(text, word.end()):
        return True
    return bool(_NAMED_BEFORE.search(text[max(0, word.start() - _BEFORE) : word.start()]))
