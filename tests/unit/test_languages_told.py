"""What is told of two texts is told alike only where a lexer finds the same in both: tried at random."""

from __future__ import annotations

import random
import re

import pytest
from pygments.lexers import get_lexer_for_filename
from pygments.token import Error, Text

from approvals.matching import Allowance
from countersign.console import languages

TIMES = 60  # texts of each language
LINES = 14
PARTS = {  # what lines are made of; some begin what others end, and some are no code at all
    "a.go": 'x  := 1|`|"a  b"|// c  d|/*|*/|\'"\'|y = `a  b`|{|}|"\\""|"`"|//go:build  a',
    "a.java": 'int  x = 1;|"a  b"|"""|// c  d|/*|*/|\'"\'|{|}|"\\"";|/* a  b */',
    "a.ts": "let  x = 1;|`|'a  b'|// c  d|/*|*/|`a  b`|{|}|a  / b|(/[`/]  x/)|`${a}  b`|\"'\"|'`'",
    "a.js": "let  x = 1;|`|'a  b'|// c  d|/*|*/|`a  b`|{|}|a  / b|(/[`/]  x/)|a < b|\"'\"|'`'",
    "a.py": "x  = 1|'''|\"\"\"|'a  b'|# c  d|r'\\''|f'{a}  b'|\"'\"|[|]|\\|'#'|\"\"\"a  b\"\"\"",
    "a.c": 'int  x = 1;|"a  b"|// c  d|/*|*/|\'"\'|#define  A b|{|}|"\\""|/* a  b */|"/*"',
    "a.rs": 'let  x = 1;|"|"a  b"|// c  d|/*|*/|\'"\'|r#"a  " b"#|&\'a  str|{|}|"\\""|/* a  b */',
    "a.css": 'a  > b {|}|"a  b"|/*|*/|b:  c;|/* a  b */|"/*"|.a--b:hover  {|"\\""',
    "a.proto": 'int32  a = 1;|"a  b"|// c  d|/*|*/|\'"\'|{|}|"\\""|/* a  b */',
    "a.json": '{|}|"a":  1,|"a  b"|[1,  2]|"\\""|"//"',
    "a.kt": 'val  x = 1|"a  b"|"""|// c  d|/*|*/|\'"\'|{|}|"\\""|"$a  b"|/* a  b */',
}


def otherwise(chance: random.Random, line: str) -> str:
    """Return a line with other blanks, where it has some and where it begins."""
    begins = chance.choice(["", "", "", " ", "\t", "    "])
    blanks = re.sub(r"[ \t]+", lambda _: chance.choice([" ", " ", "  ", "\t"]), line)
    # Pygments sees no text of Java where its first line ends in blanks; Java does.
    return begins + blanks + ("" if line.endswith('"""') else chance.choice(["", "", "", " "]))


def tokens_of(path: str, text: str) -> list[list[tuple[object, str]]]:
    """Return what Pygments finds on each line, but for blanks that are none of a token."""
    rows: list[list[tuple[object, str]]] = [[]]
    lexer = get_lexer_for_filename(path, stripnl=False, ensurenl=False)
    for kind, value in lexer.get_tokens(text):
        for number, piece in enumerate(value.split("\n")):
            if number:
                rows.append([])
            if piece and not (kind in Text and not piece.strip(" \t")):
                rows[-1].append((kind, piece))
    return rows


@pytest.mark.parametrize("path", PARTS)
def test_lines_that_are_told_alike_have_the_same_tokens(path):
    chance = random.Random(path)  # noqa: S311  the same texts each time
    language, parts = languages.of(path), PARTS[path].split("|")
    assert language
    alike = 0
    for _ in range(TIMES):
        lines = [chance.choice(parts) for _ in range(LINES)]
        sides = [[otherwise(chance, line) for line in lines] for _ in range(2)]
        told = [languages.told(language, side, Allowance()) for side in sides]
        found = [tokens_of(path, "\n".join(side)) for side in sides]
        for old, new, before, now in zip(*told, *found, strict=False):
            if any(kind in Error for kind, _ in (*before, *now)):
                break  # it is no text of this language
            if old == new:
                assert before == now, (lines, old)
                alike += 1
    assert alike > TIMES


@pytest.mark.parametrize("path", PARTS)
def test_what_is_told_is_the_text_but_for_blanks(path):
    chance = random.Random(path)  # noqa: S311  the same texts each time
    language = languages.of(path)
    assert language
    for _ in range(TIMES):
        lines = [otherwise(chance, chance.choice(PARTS[path].split("|"))) for _ in range(LINES)]
        told = languages.told(language, lines, Allowance())
        for line, said in zip(lines, told, strict=False):
            assert re.sub(r"[ \t\x1e\x1f]", "", said) == re.sub(r"[ \t]", "", line)
