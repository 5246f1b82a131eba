"""Finds the colours of source lines with Pygments, as a program of its own: it reads hunks, says codes.

What agents write meets regular expressions that try again and again, for ever in the worst case: whoever
asks runs this in a process with a limit. A code is one line of a hunk as `k3-1f5`: a keyword of three
characters, one plain, a name of five. What is behind the last run is plain; `=` parts the two sides of a
line both have where a change before it colours them otherwise.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from pygments.lexers import get_lexer_for_filename
from pygments.token import Comment, Keyword, Name, Number, Operator, String, _TokenType
from pygments.util import ClassNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pygments.lexer import Lexer

Run = tuple[str, int]  # class (k, s, n, f, c, - for plain) and characters

_LARGEST = 200_000  # characters of one side; more stays plain
_CPU_SECONDS, _MEMORY = 20, 1024**3
_PLAIN = "-"
_CLASSES: tuple[tuple[_TokenType, str], ...] = (
    (Comment, "c"),
    (String, "s"),
    (Number, "n"),
    (Keyword, "k"),
    (Operator.Word, "k"),
    (Name.Function, "f"),
    (Name.Class, "f"),
    (Name.Decorator, "f"),
    (Name.Builtin, "f"),
    (Name.Tag, "k"),
    (Name.Attribute, "f"),
)
_RETURN = "\ue00d"  # stands for a carriage return: Pygments would make it a line of its own


def codes(path: str, text: str) -> str:
    """Return the code of each line of a hunk; nothing for what Pygments does not know."""
    lines = [line for line in text.removesuffix("\n").split("\n") if line[:1] != "\\"]
    sides = [[line[1:].removesuffix("\r") for line in lines if line[:1] != gone] for gone in "+-"]
    coloured = [_coloured(path, side) for side in sides]
    if None in coloured:
        return ""
    old, new = (iter(map(_code, rows or ())) for rows in coloured)
    return "\n".join(_of_line(line[:1], old, new) for line in lines)


def _of_line(marker: str, old: Iterable[str], new: Iterable[str]) -> str:
    if marker in {"-", "+"}:
        return next(iter(old if marker == "-" else new))
    left, right = next(iter(old)), next(iter(new))
    return left if left == right else f"{left}={right}"


def _code(row: list[Run]) -> str:
    while row and row[-1][0] == _PLAIN:
        row.pop()
    return "".join(f"{token}{length}" for token, length in row)


def _coloured(path: str, lines: list[str]) -> list[list[Run]] | None:
    """Return the runs of each line, or None where they are not as long as it."""
    text = "\n".join(lines)
    lexer = _lexer(path)
    if lexer is None or len(text) > _LARGEST:
        return None
    if not lines:
        return []
    rows = _rows(lexer.get_tokens(text.replace("\r", _RETURN)))
    same = [sum(length for _, length in row) for row in rows] == [len(line) for line in lines]
    return rows if same else None


def _rows(tokens: Iterable[tuple[_TokenType, str]]) -> list[list[Run]]:
    """Return the tokens line by line; neighbours of one class are one run, for each is an element."""
    rows: list[list[Run]] = [[]]
    for kind, value in tokens:
        token = _class_of(kind)
        first, *more = value.split("\n")
        _add(rows[-1], token, len(first))
        for piece in more:
            rows.append([])
            _add(rows[-1], token, len(piece))
    return rows


@lru_cache(maxsize=64)
def _lexer(path: str) -> Lexer | None:
    try:
        return get_lexer_for_filename(path, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def _add(row: list[Run], token: str, length: int) -> None:
    if row and row[-1][0] == token:
        row[-1] = (token, row[-1][1] + length)
    elif length:
        row.append((token, length))


@cache  # as many as Pygments has; each token asks
def _class_of(kind: _TokenType) -> str:
    return next((name for parent, name in _CLASSES if _within(kind, parent)), _PLAIN)


def _within(kind: _TokenType, parent: _TokenType) -> bool:
    return kind[: len(parent)] == parent


def main() -> None:
    """Read `[[path, text], ...]` from standard input; write the codes of each as a line of JSON."""
    with contextlib.suppress(ValueError):  # not every system can
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    for path, text in json.load(sys.stdin):
        sys.stdout.write(json.dumps(codes(path, text)) + "\n")
        sys.stdout.flush()  # what is done is used, whatever becomes of the next


if __name__ == "__main__":
    main()
