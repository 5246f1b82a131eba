"""The diff a person signs: every line, in order, escaped, with nothing hidden."""

from __future__ import annotations

import re
from html import unescape

import pytest

from agents.workspace import lexing
from countersign.console import diff, diff_rows, hidden, report

HUNK = (
    " def tax(self):\n"
    "-    return sum(quantize(line.tax) for line in self.lines)\n"
    "+    return sum(line.tax for line in self.lines)\n"
    " \n"
    "+    # new\n"
)


def text_of(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html))


def lines_of(blocks, side: str) -> list[tuple[int, str]]:
    rows = [getattr(row, side) for block in blocks for row in block.rows]
    return [(line.number, text_of(line.html)) for line in rows if line]


def test_both_sides_are_whole_and_numbered():
    blocks = diff.blocks(HUNK, 81, 81)
    assert lines_of(blocks, "old") == [
        (81, "def tax(self):"),
        (82, "    return sum(quantize(line.tax) for line in self.lines)"),
        (83, ""),
    ]
    assert lines_of(blocks, "new") == [
        (81, "def tax(self):"),
        (82, "    return sum(line.tax for line in self.lines)"),
        (83, ""),
        (84, "    # new"),
    ]


def test_changed_words_are_marked_and_unchanged_ones_are_not():
    change = diff.blocks(HUNK, 81, 81)[1].rows[0]
    assert "<mark>quantize(</mark>" in change.old.html
    assert "<mark>" not in change.new.html


def test_words_that_changed_side_by_side_carry_one_mark():
    text = "-total = first(1) + rest\n+total = other(22) + rest\n"
    [block] = diff.blocks(text, 1, 1, "f1", lexing.codes("a.py", text))
    new = block.rows[0].new
    assert re.findall(r"<mark>(.*?)</mark>", new.html) == ["other", "22"]
    assert text_of(new.html) == "total = other(22) + rest"


def test_a_mark_over_several_colours_is_one_and_cuts_none_of_its_text():
    line = diff_rows.Raw(number=1, text="if a <12", code="k2-4n2", words=((1, 7),))
    new = diff_rows.changed(None, line, "f1").new
    assert (new.html, new.colours) == ("i<mark>f a &lt;1</mark>2", "k2-4n2")


@pytest.mark.parametrize("words", [((0, 8),), ((0, 1), (7, 8)), ((3, 3),), ((2, 5),)])
def test_marks_at_the_ends_of_a_line_lose_nothing(words):
    line = diff_rows.Raw(number=1, text="if a <12", code="k2-4n2", words=words)
    assert text_of(diff_rows.changed(line, None, "f1").old.html) == "if a <12"


def test_lines_without_likeness_carry_no_word_marks():
    blocks = diff.blocks("-alpha beta gamma\n+1234567890\n", 1, 1)
    assert "<mark>" not in blocks[0].rows[0].old.html + blocks[0].rows[0].new.html


def test_markup_in_the_code_stays_text():
    blocks = diff.blocks('+<script>alert("x")</script> & <img src=x onerror=y>\n', 0, 1)
    html = blocks[0].rows[0].new.html
    assert "<script" not in html
    assert "<img" not in html
    assert text_of(html) == '<script>alert("x")</script> & <img src=x onerror=y>'


@pytest.mark.parametrize(
    ("character", "code"),
    [
        ("\u200b", "U+200B"),
        ("\u202e", "U+202E"),
        ("\u00a0", "U+00A0"),
        ("\ufeff", "U+FEFF"),
        ("\u00ad", "U+00AD"),
        ("\u2066", "U+2066"),
        ("\U000e0041", "U+E0041"),
        ("\x1b", "U+001B"),
        ("\x0c", "U+000C"),
        ("\u2028", "U+2028"),
    ],
)
def test_a_hidden_character_is_shown_by_its_number(character, code):
    blocks = diff.blocks(f"+half{character} up\n", 0, 1)
    html = blocks[0].rows[0].new.html
    assert f">{code}</span>" in html
    assert character not in html
    assert len(blocks) == len(blocks[0].rows) == 1


def test_a_letter_that_passes_for_another_is_shown_with_its_number():
    shown = hidden.reveal("p\u0430yment")
    assert "\u0430 U+0430" in shown


def test_text_in_another_script_is_left_alone():
    assert hidden.reveal("\u043f\u0440\u0438\u0432\u0435\u0442 \u4f60\u597d") == (
        "\u043f\u0440\u0438\u0432\u0435\u0442 \u4f60\u597d"
    )


def test_carriage_returns_are_told_and_never_split_a_line():
    blocks = diff.blocks("+one\r\n+two\rthree\n", 0, 1)
    first, second = blocks[0].rows
    assert first.new.returns
    assert "U+000D" in second.new.html
    assert [row.new.number for row in blocks[0].rows] == [1, 2]


def test_a_missing_last_newline_is_told_on_the_side_it_concerns():
    text = "-old\n\\ No newline at end of file\n+new\n"
    row = diff.blocks(text, 1, 1)[0].rows[0]
    assert row.old.ends_file
    assert not row.new.ends_file


def test_long_lines_and_many_lines_are_shown_whole():
    long = "x" * 50_000
    assert text_of(diff.blocks(f"+{long}\n", 0, 1)[0].rows[0].new.html) == long
    many = "".join(f"+line {number}\n" for number in range(3_000))
    assert len(diff.blocks(many, 0, 1)[0].rows) == 3_000


def test_removed_lines_after_added_ones_begin_a_part_of_their_own():
    blocks = diff.blocks("-a\n+b\n-c\n+d\n", 1, 1)
    assert [len(block.rows) for block in blocks] == [1, 1]


def test_an_added_line_with_plus_signs_keeps_them():
    assert lines_of(diff.blocks("+++i;\n", 0, 1), "new") == [(1, "++i;")]


def test_a_report_loads_nothing_and_runs_nothing():
    html = report.render(
        "# T\n[a](javascript:alert(1)) ![p](https://evil.example/p.png) <script>x</script>\n\n"
        '<a href="https://evil.example" onclick="x">y</a> <https://evil.example>\n\n'
        "| a | b |\n|---|---|\n| 1 | 2 |\n\nhalf\u200bup"
    )
    elements = re.findall(r"<([a-z0-9]+)([^>]*)>", html)
    assert not {name for name, _ in elements} & {"script", "img", "a", "iframe", "style"}
    assert all(not attributes.strip(" /") for _, attributes in elements)
    assert "<table>" in html
    assert "https://evil.example/p.png" in html
    assert "U+200B" in html


def test_passages_of_a_report_become_one_block_per_file():
    html = report.render(
        "Found:\na.md:5: half up\n~~~\na.md:9: even\nb.py:2: x = a -> b  # <b>\n\nNothing *else*."
    )
    assert html.count("<pre>") == 2
    assert "line 5\nhalf up\n~~~\n\nline 9\neven\n" in html
    assert "line 2\nx = a -&gt; b  # &lt;b&gt;" in html
    assert "<em>else</em>" in html


def test_words_are_compared_only_where_that_costs_little():
    dots, turned = ".," * 900, ",." * 900
    text = f"-{dots}\n+{turned}\n-one two\n+one three\n"
    costly, usual = (block.rows[0] for block in diff.blocks(text, 1, 1))
    assert "<mark>" not in costly.html
    assert text_of(costly.new.html) == turned
    assert "<mark>three</mark>" in usual.new.html


def test_a_lookalike_is_marked_though_a_lexer_cuts_its_word():
    text = "+p\u0430yment\n"
    [block] = diff.blocks(text, 0, 1, "f1", lexing.codes("a.json", text))
    assert block.rows[0].new.html.count("hidden-char") == 1


def test_only_what_is_named_can_be_linked_to():
    text = " one\n-two\n+three\n"
    named, unnamed = (diff.blocks(text, 4, 4, anchor) for anchor in ("f1", ""))
    assert re.findall(r' id="([^"]*)"', "".join(block.html for block in named)) == [
        "f1-n4",
        "f1-n5",
    ]
    assert " id=" not in "".join(block.html for block in unnamed)


def test_a_line_of_both_sides_has_the_colours_of_each():
    text = '-"""\n+x = 1\n y = 2\n'
    blocks = diff.blocks(text, 1, 1, "f1", lexing.codes("a.py", text))
    [row] = blocks[-1].rows
    assert row.old.colours == "s5"
    assert row.new.colours == "-4n1"
    assert 'data-c="s5">y = 2<' in row.html
    assert 'data-c="-4n1">y = 2<' in row.html


@pytest.mark.parametrize("code", ["k9999999", "k2k2k2", "x1<b>", "=", "k", "k1=", "9k1", "\n\n"])
def test_codes_of_another_text_change_nothing_of_this_one(code):
    blocks = diff.blocks(" <i>a\n+b\n", 1, 1, "f1", code)
    assert lines_of(blocks, "new") == [(1, "<i>a"), (2, "b")]


def test_all_that_is_kept_of_a_hunk_is_counted():
    text = " one\n-two\n+three <\n"
    drawn = diff._drawn(text, 1, 1, "f1", "k3", (), frozenset())
    rows = [row for block in drawn.blocks for row in block.rows]
    lines = [rows[0].new.html, rows[1].old.html, rows[1].new.html]
    kept = [text, "k3", "k3", *(row.html for row in rows), *lines]
    assert diff._size(drawn) == sum(map(len, kept))
