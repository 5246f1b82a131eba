"""Colours source lines with five token classes; what Pygments cannot read stays plain."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

from pygments.lexers import get_lexer_for_filename
from pygments.token import Comment, Keyword, Name, Number, Operator, String, _TokenType
from pygments.util import ClassNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pygments.lexer import Lexer

Run = tuple[str, str]  # token class (k, s, n, f, c or empty) and text

_LARGEST = 200_000  # characters coloured; more is shown plain rather than late
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


def colour(path: str, lines: list[str]) -> list[list[Run]]:
    """Return each line as coloured runs whose texts join to the line exactly."""
    text = "\n".join(lines)
    lexer = _lexer(path)
    if lexer is None or len(text) > _LARGEST:
        return [[("", line)] for line in lines]
    rows = _rows(lexer.get_tokens(text.replace("\r", _RETURN)))
    if ["".join(run[1] for run in row) for row in rows] != lines:
        return [[("", line)] for line in lines]
    return rows


def _rows(tokens: Iterable[tuple[_TokenType, str]]) -> list[list[Run]]:
    """Return the tokens line by line; neighbours of one class are one run, for each is an element."""
    rows: list[list[Run]] = [[]]
    for kind, value in tokens:
        token = _class_of(kind)
        first, *more = value.replace(_RETURN, "\r").split("\n")
        _add(rows[-1], token, first)
        for piece in more:
            rows.append([])
            _add(rows[-1], token, piece)
    return rows


@lru_cache(maxsize=64)
def _lexer(path: str) -> Lexer | None:
    try:
        return get_lexer_for_filename(path, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def _add(row: list[Run], token: str, piece: str) -> None:
    if row and row[-1][0] == token:
        row[-1] = (token, row[-1][1] + piece)
    elif piece:
        row.append((token, piece))


@cache  # as many as Pygments has; each token of a page asks
def _class_of(kind: _TokenType) -> str:
    return next((name for parent, name in _CLASSES if _within(kind, parent)), "")


def _within(kind: _TokenType, parent: _TokenType) -> bool:
    return kind[: len(parent)] == parent
