"""Lines that differ in spaces only stand apart where spaces mean nothing, and nowhere else."""

from __future__ import annotations

import pytest

from agents.workspace.lexing import codes
from approvals.matching import Allowance
from countersign.console import diff, spaces
from tests.unit.test_diff_rendering import lines_of

WRAPPED = (
    " function total() {\n"
    "-  const sum = add(lines);\n"
    "-  return round(sum);\n"
    "+  if (lines) {\n"
    "+    const sum = add(lines);\n"
    "+    return round(sum);\n"
    "+  }\n"
    " }\n"
)


def drawn(path: str, text: str, start: int = 1) -> tuple[diff.Block, ...]:
    free = spaces.may_be_free(path, {"old_start": start, "new_start": start, "text": text})
    return diff.blocks(text, start, start, "", codes(path, text), apart=path if free else "")


def apart(path: str, text: str, start: int = 1) -> list[int]:
    """Return how many rows each block has that differs in spaces only."""
    blocks = drawn(path, text, start)
    return [len(block.rows) for block in blocks if block.spaces]


def test_what_is_wrapped_and_indented_stands_apart_from_what_wraps_it():
    blocks = drawn("a.ts", WRAPPED)
    assert [(block.changed, block.spaces, len(block.rows)) for block in blocks] == [
        (False, False, 1),
        (True, False, 1),
        (True, True, 2),
        (True, False, 1),
        (False, False, 1),
    ]


def test_every_line_is_there_in_its_order_and_with_its_number():
    for side in ("old", "new"):
        whole = diff.blocks(WRAPPED, 1, 1)
        assert lines_of(drawn("a.ts", WRAPPED), side) == lines_of(whole, side)


def test_nothing_stands_apart_unless_it_is_asked_for():
    assert not any(block.spaces for block in diff.blocks(WRAPPED, 1, 1))


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("a.ts", "  let a = 1;", "\tlet a = 1;"),
        ("a.ts", "let a = 1;", "let a = 1;   "),
        ("a.ts", "let a   =  1;", "let a = 1;"),
        ("a.go", "x := f(a)  // why", "x := f(a) // why"),
        ("a.json", '  "name": 1,', '    "name": 1,'),
        ("a.py", "x  = 1 + y", "x = 1 + y  "),
    ],
)
def test_spaces_without_meaning(path, before, after):
    assert apart(path, f"-{before}\n+{after}\n") == [1]


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("a.py", "x = 1", "    x = 1"),  # another block
        ("a.yaml", "key: 1", "  key: 1"),
        ("a.yaml", "run: a  b", "run: a b"),
        ("Makefile", "\tmake all", "        make all"),
        ("a.md", "one two", "one two  "),  # a line break
        ("a.sh", "echo a  b", "echo a b"),
        ("a.txt", "a  b", "a b"),
        ("a", "a  b", "a b"),
        ("a.ts", 'let a = "x  y";', 'let a = "x y";'),
        ("a.ts", "let a = 'x\ty';", "let a = 'x y';"),
        ("a.ts", "return x", "returnx"),  # none is not fewer
        ("a.ts", "a - -b", "a --b"),
        ("a.c", "#define F(x) \\", "#define F(x) \\ "),  # does not go on any more
        ("a.ts", "let a = /x  y/;", "let a = /x y/;"),
        ("a.js", "<p>one  two</p>", "<p>one two</p>"),
        ("a.tsx", "one  two", "one two"),
        ("a.sql", "1\t2", "1 2"),  # a row of COPY
        ("a.ts", "let a = 1;", "let a = 1;\r"),
        ("a.ts", "let a = 1;", "let\u00a0a = 1;"),
        ("a.ts", "let a = 1;", "let a =\u2003 1;"),
        ("a.ts", "let  a\u200b = 1;", "let a\u200b = 1;"),  # what is marked is shown
    ],
)
def test_spaces_that_may_have_a_meaning_are_shown(path, before, after):
    assert apart(path, f"-{before}\n+{after}\n") == []


def test_colours_have_no_say_for_they_are_not_sealed():
    text = " x := `\n-  key: 1\n+key: 1\n `\n"
    assert not spaces.may_be_free("a.go", {"old_start": 1, "new_start": 1, "text": text})
    free = "-  let a = 1;\n+let a = 1;\n"
    for colours in ("", "k5", "s12\ns10"):
        [block] = diff.blocks(free, 1, 1, "", colours, apart="a.ts")
        assert block.spaces


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.go", "   jobs:\n-    run: a\n+      run: a\n"),  # of a raw string
        ("a.js", "   jobs:\n-    run: a\n+      run: a\n"),  # of a template
        ("a.ts", " one\n-    two\n+      two\n three`;\n"),
        ("a.py", " one\n-two  three\n+two three\n"),  # of a docstring
        ("a.py", ' one\n-two  three\n+two three\n """\n'),
        ("a.sql", " begin\n-  x  := 1;\n+x := 1;\n end $$\n"),
        ("a.cs", " one\n-  two\n+two\n"),
        ("a.rs", " one\n-  two\n+two\n"),
        ("a.css", '-  two";\n+two";\n'),
        ("a.c", '-  two";\n+two";\n'),
    ],
)
def test_what_may_be_of_a_text_that_began_above_the_hunk_is_shown(path, text):
    assert apart(path, text, start=20) == []


@pytest.mark.parametrize(
    ("path", "begins"),
    [
        ("a.go", "x := `"),
        ("a.js", "let x = `"),
        ("a.js", "<p"),
        ("a.py", 'x = """'),
        ("a.py", "x = '''"),
        ("a.py", "x = 'a\\"),
        ("a.c", '"a\\'),
        ("a.cpp", 'auto x = R"('),
        ("a.cs", 'var x = @"'),
        ("a.cs", 'var x = @$"'),
        ("a.java", 'x = """'),
        ("a.kt", 'x = """'),
        ("a.swift", 'x = """'),
        ("a.dart", "x = '''"),
        ("a.rs", 'let x = "'),
        ("a.lua", "x = [==["),
        ("a.css", 'a { content: "x\\'),
    ],
)
def test_a_hunk_that_begins_a_text_over_lines_is_shown(path, begins):
    assert apart(path, f" {begins}\n-some  thing\n+some thing\n") == []
    assert apart(path, " f();\n-some  thing\n+some thing\n") == [1]


def test_where_no_text_goes_over_lines_any_hunk_may_be_free():
    assert apart("a.json", '-  "name": 1,\n+    "name": 1,\n', start=20) == [1]
    assert apart("a.proto", "-  int32 a = 1;\n+    int32 a = 1;\n", start=20) == [1]


def test_lines_within_a_text_over_several_lines_are_shown():
    text = " const page = `\n-  one two\n-  three\n+    one  two\n+three\n `;\n"
    assert apart("a.js", text) == []


def test_a_newline_missing_at_the_end_is_no_space():
    assert apart("a.ts", "-  a();\n+a();\n\\ No newline at end of file\n") == []


def test_a_bracket_that_is_the_same_by_chance_tears_no_change_apart():
    text = "-  one(a);\n-  }\n-  two(b);\n+    three(c);\n+    }\n+    four(d);\n"
    assert apart("a.ts", text) == []
    assert apart("a.ts", " if (x) {\n-  }\n+    }\n") == [1]


def test_more_than_a_page_may_compare_is_shown():
    old = "".join(f"-  f({n});\n" for n in range(600))
    new = "".join(f"+f({n});\n" for n in (*range(1, 600), 0))
    spent = Allowance(steps=600)
    [shown] = diff.blocks(old + new, 7, 7, apart="a.ts", allowance=spent)
    assert not shown.spaces
    assert apart("a.ts", old + new) == [599]
    [block] = diff.blocks(old + old.replace("-  ", "+"), 7, 7, apart="a.ts", allowance=spent)
    assert block.spaces
