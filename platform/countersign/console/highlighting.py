"""Reads the colours of a line that were found when it was written; they change no text, only its runs."""

from __future__ import annotations

import re

Run = tuple[str, str]  # token class (k, s, n, f, c or empty) and text

_CODE = re.compile(r"([ksnfc-])(\d{1,7})")


def runs(code: str, line: str) -> list[Run]:
    """Return a line as coloured runs whose texts join to it exactly; plain when the code is of another."""
    found, start = [], 0
    for kind, length in _CODE.findall(code):
        end = start + int(length)
        found.append(("" if kind == "-" else kind, line[start:end]))
        start = end
    if start > len(line):
        return [("", line)]
    if start < len(line):
        found.append(("", line[start:]))
    return found
