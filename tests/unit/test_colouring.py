"""Colours of lines: found by a program of its own, for texts of all kinds, and changing none."""

from __future__ import annotations

import re

import pytest

from agents.workspace import colouring, lexing
from agents.workspace.colouring import colours_of
from agents.workspace.diffs import FileDiff, HunkDiff
from countersign.console.highlighting import ranges

ODD = [
    "",
    '\tdef f(): """',
    "{% if x %}",
    "# c\r",
    "<b>&amp;</b>",
    "  trailing  ",
    "a\rb",
    "\ud83d",
]


def file_of(path: str, *texts: str) -> FileDiff:
    at = {"old_start": 1, "old_lines": 1, "new_start": 1, "new_lines": 1, "section": ""}
    names = ("old_mode", "new_mode", "old_blob", "new_blob")
    return FileDiff(
        path=path,
        old_path=path,
        status="modified",
        hunks=[HunkDiff(**at, text=text, digest="") for text in texts],
        **dict.fromkeys(names, ""),
    )


@pytest.mark.parametrize("path", ["a.py", "a.html", "a.unknown", "Makefile", "a.json", "a.md"])
@pytest.mark.parametrize("marker", ["+", "-", " "])
def test_colours_never_change_the_text(path, marker):
    code = lexing.codes(path, "".join(f"{marker}{line}\n" for line in ODD))
    lines = [line.removesuffix("\r") for line in ODD]
    found = code.split("\n") if path != "a.unknown" else [""] * len(lines)
    assert len(found) == len(lines)
    for each, line in zip(found, lines, strict=True):
        coloured = [
            int(length) for length in re.findall(r"\d+", ranges(each.partition("=")[0], line))
        ]
        assert sum(coloured) <= len(line.encode("utf-16-le", "surrogatepass")) // 2


def test_colours_count_as_the_page_does_and_badges_keep_their_own():
    assert ranges("k1s2", "ab\U0001f600") == "k1s3"
    assert ranges("k2-1n1", "a\u200b b", {1}) == "k1-7n1"
    assert ranges("n9", "12") == "n9"  # the page stops where the text does


@pytest.mark.parametrize("code", ["", "x3", "k3<b>", "k-1", "k12345678", '"k3'])
def test_what_is_no_code_of_colours_colours_nothing(code):
    assert ranges(code, "abc") == ""


def test_a_side_that_has_no_lines_hinders_no_colours():
    assert lexing.codes("a.py", "+x = 1\n") == lexing.codes("a.py", "-x = 1\n") == "-4n1"


def test_the_program_says_of_each_hunk_what_the_lexer_finds():
    python, plain = "-def f():\n+def g(): return 1\n\\ No newline\n", "+words\n"
    files = [file_of("a.py", python, plain), file_of("docs/no lexer", plain), file_of("b.bin")]
    assert colours_of(files) == [
        [lexing.codes("a.py", python), lexing.codes("a.py", plain)],
        [""],
        [],
    ]
    assert lexing.codes("a.py", python).startswith("k3-1f1")
    assert colours_of([]) == []


def test_what_takes_too_long_stays_plain(monkeypatch):
    monkeypatch.setattr(colouring, "_SECONDS", 0.001)
    assert colours_of([file_of("a.py", "+def f():\n")]) == [[""]]


def test_what_is_too_long_stays_plain():
    assert lexing.codes("a.py", "+x = 1\n" * 40_000) == ""
