"""Says which parts of a drawn line are coloured how, by what was found when the change was written.

The page colours ranges of its text (static/js/colours.js): an element for each made half of a long review.
"""

from __future__ import annotations

import itertools
import re
from operator import itemgetter
from typing import TYPE_CHECKING

from countersign.console import hidden

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

_RUN = re.compile(r"([ksnfc-])([0-9]{1,7})")  # token class, or none, and how many characters
_CODE = re.compile(r"(?:[ksnfc-][0-9]{1,7})*")


def ranges(code: str, line: str, odd: Container[int] = ()) -> str:
    """Return runs of a line as it is drawn, badges and all, in units of JavaScript's strings.

    Nothing is coloured when the code is none. `odd` are the places of badges.
    """
    if not code or not _CODE.fullmatch(code):
        return ""
    if line.isascii() and not odd:
        return code
    runs = itertools.groupby(_drawn(code, line, odd), itemgetter(0))
    return "".join(f"{kind}{sum(_units(text) for _, text in run)}" for kind, run in runs)


def _drawn(code: str, line: str, odd: Container[int]) -> Iterator[tuple[str, str]]:
    start = 0
    for kind, length in _RUN.findall(code):
        end = start + int(length)
        for at, character in enumerate(line[start:end], start):
            # A badge keeps the colour that warns.
            yield ("-", hidden.drawn(character)) if at in odd else (kind, character)
        start = end


def _units(text: str) -> int:
    return len(text) + sum(each > "\uffff" for each in text)
