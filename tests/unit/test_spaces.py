"""Lines that differ in spaces only fold where spaces mean nothing, and nowhere else."""

from __future__ import annotations

import difflib
import re

import pytest

from approvals.matching import Allowance
from countersign.console import diff, spaces
from tests.unit.test_diff_rendering import lines_of

WRAPPED = (
    "function total() {\n  const sum = add(lines);\n  return round(sum);\n}\n",
    "function total() {\n  if (lines) {\n    const sum = add(lines);\n    return round(sum);\n  }\n}\n",
)
FAR = 30  # lines between what begins and what changes: no hunk shows both


def sealed(path: str, old: str, new: str, **facts: object) -> dict:
    """Return a file as it is sealed, with the hunks of these two texts."""
    lines = [text.removesuffix("\n").split("\n") for text in (old, new)]
    hunks: list[dict] = []
    for line in list(difflib.unified_diff(*lines, lineterm=""))[2:]:
        if found := re.fullmatch(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", line):
            names = ("old_start", "old_lines", "new_start", "new_lines")
            counts = {name: int(found[at] or 1) for at, name in enumerate(names, 1)}
            hunks.append({"id": f"h{len(hunks)}", "text": "", **counts})
        else:
            hunks[-1]["text"] += f"{line}\n"
    modes = {"old_mode": "100644", "new_mode": "100644"}
    return {
        "path": path,
        "old_path": "",
        "status": "modified",
        "binary": False,
        "hunks": hunks,
        **modes,
        **facts,
    }


def drawn(file: dict, new: str, allowance: Allowance | None = None) -> list[diff.Block]:
    texts = new.removesuffix("\n").split("\n")
    runs = spaces.runs_of(file, texts, allowance or Allowance())
    return [
        block
        for hunk in file["hunks"]
        for block in diff.blocks(
            hunk["text"], hunk["old_start"], hunk["new_start"], apart=runs.get(hunk["id"], ())
        )
    ]


def folded(path: str, old: str, new: str, **facts: object) -> list[str]:
    """Return the lines, as proposed, that are folded."""
    blocks = drawn(sealed(path, old, new, **facts), new)
    return [text for _, text in lines_of([block for block in blocks if block.spaces], "new")]


def within(path: str, begins: str, old: str, new: str, ends: str, free: str = "") -> list[str]:
    """Return what is folded of a line far below what begins, and of one far below its end."""
    far = "\n".join(f"{free or 'x'}{number}" for number in range(FAR))
    texts = [f"{begins}\n{far}\n{line}\n{far}\n{ends}\n" for line in (old, new)]
    return folded(path, *texts)


def test_what_is_wrapped_and_indented_stands_apart_from_what_wraps_it():
    blocks = drawn(sealed("a.ts", *WRAPPED), WRAPPED[1])
    assert [(block.changed, block.spaces, len(block.rows)) for block in blocks] == [
        (False, False, 1),
        (True, False, 1),
        (True, True, 2),
        (True, False, 1),
        (False, False, 1),
    ]


def test_every_line_is_there_in_its_order_and_with_its_number():
    file = sealed("a.ts", *WRAPPED)
    [hunk] = file["hunks"]
    for side in ("old", "new"):
        whole = diff.blocks(hunk["text"], 1, 1)
        assert lines_of(drawn(file, WRAPPED[1]), side) == lines_of(whole, side)


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("a.ts", "let a = 1;", "    let a = 1;"),
        ("a.ts", "let a = 1;", "let  a =\t1;  "),
        ("a.ts", 'say("one  two");', '  say("one  two"); '),
        ("a.ts", 'x = f("a",  b);', 'x = f("a", b);'),
        ("a.ts", "let x = `one  two`;", "  let  x = `one  two`;"),
        ("a.ts", "let x = `${a}  b`;", "  let  x = `${a}  b`;"),
        ("a.ts", "let a = /x  y/.test(b);", "  let a = /x  y/.test(b);"),
        ("a.ts", "let a = b / 2;  // half", "  let a  = b / 2; // half"),
        ("a.js", "if (a < b) {", "  if (a < b)  {"),
        ("a.go", "\tx := 1", "\t\tx := 1"),
        ("a.go", '\tName string `json:"name"`', '\tName    string `json:"name"`'),
        ("a.go", "\tx int // why", "\tx   int     // why"),
        ("a.json", '  "name": 1,', '    "name":  1,'),
        ("a.proto", "  int32 a = 1;", "    int32 a = 1;"),
        ("a.java", 'String s =  "a  b";', '    String s = "a  b";'),
        ("a.kt", 'val s =  "a $b"', '    val s = "a $b"'),
        ("a.cs", 'var s =  $"a {b}";', '    var s = $"a {b}";'),
        ("a.rs", "fn  f<'a>(x: &'a str) {}", "    fn f<'a>(x: &'a str) {}"),
        ("a.cpp", "int  x = 1'000;", "    int x = 1'000;"),
        ("a.css", "a  > b {", "  a > b {"),
        ("a.scss", "a { b:  url(//c/d.png) }", "  a { b: url(//c/d.png) }"),
        ("a.py", "x  = 1 + y", "x = 1 + y  "),
        ("a.py", 'x = f("a",  b)', 'x = f("a", b)'),
        ("a.py", 'x = f"{a}\\n{{b}}" +   c', 'x = f"{a}\\n{{b}}" + c'),
        ("a.py", "# coding: utf-8\nx  = 1", "# coding: utf-8\nx = 1"),
        ("a.c", "// C:/\nint   a;", "// C:/\nint a;"),
        ("a.css", "a { b:   var(--c) }", "a { b: var(--c) }"),
        ("a.css", "a { b:   url(x y) }", "a { b: url(x y) }"),
    ],
)
def test_spaces_without_meaning(path, before, after):
    assert folded(path, f"{before}\n", f"{after}\n") == [after.split("\n")[-1]]


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("a.py", "x = 1", "    x = 1"),  # another block
        ("a.py", "    x = 1", "\tx = 1"),
        ("a.yaml", "key: 1", "  key: 1"),
        ("a.yaml", "run: a  b", "run: a b"),
        ("Makefile", "\tmake all", "        make all"),
        ("a.mk", "\tmake all", "        make all"),
        ("a.md", "one two", "one two  "),  # a line break
        ("a.sh", "echo a  b", "echo a b"),
        ("a.txt", "a  b", "a b"),
        ("a", "a  b", "a b"),
        ("a.html", "<p>a  b</p>", "<p>a b</p>"),
        ("a.sql", "1\t2", "1 2"),  # a row of COPY
        ("a.tsx", "one  two", "one two"),
        ("a.vue", "one  two", "one two"),
        ("testdata/a.go", "x  := 1", "x := 1"),  # what a test compares with
        ("web/__snapshots__/a.ts", "x  = 1", "x = 1"),
        ("a.ts", 'let a = "x  y";', 'let a = "x y";'),
        ("a.ts", "let a = 'x\ty';", "let a = 'x y';"),
        ("a.ts", "let a = `x  y`;", "let a = `x y`;"),
        ("a.ts", "let a = `${x}  y`;", "let a = `${x} y`;"),
        ("a.ts", "return x", "returnx"),  # none is not fewer
        ("a.ts", "a - -b", "a --b"),
        ("a.ts", "let a = /x  y/;", "let a = /x y/;"),
        ("a.ts", "return /x  '/;", "return /x '/;"),
        ("a.ts", "let a = 1; //  b", "let a = 1; // b"),
        ("a.ts", "//a", "  //a"),  # to a tool
        ("a.js", "let a = <p>one  two</p>", "let a = <p>one two</p>"),
        ("a.js", "if (a) <p>one  two</p>", "if (a) <p>one two</p>"),
        ("a.js", "a  <!-- b", "a <!-- b"),
        ("a.js", "a  = `${`b`}`", "a = `${`b`}`"),  # one within another is not followed
        ("a.c", "#define F(x) \\", "#define F(x) \\ "),  # does not go on any more
        ("a.c", "#define  F", "#define F"),
        ("a.c", "x  = a ??/ b", "x = a ??/ b"),
        ("a.h", "#include <a  b.h>", "#include <a b.h>"),
        ("a.cpp", 'auto  x = R"(a)";', 'auto x = R"(a)";'),
        ("a.cs", 'var  x = $@"{a}";', 'var x = $@"{a}";'),
        ("a.go", "//go:build linux", " //go:build linux"),
        ("a.go", "// Output: a  b", "// Output: a b"),
        ("a.go", "/*line a.go:1*/", " /*line a.go:1*/"),
        ("a.java", r"x  = '\u0027';", r"x = '\u0027';"),
        ("a.rs", "view!  { <p>a  b</p> }", "view!  { <p>a b</p> }"),
        ("a.css", r".a\62  b {", r".a\62 b {"),  # the first blank ends the escape
        ("a.css", "--x:  a  b;", "--x:  a b;"),
        ("a.css", '@charset  "utf-8";', '@charset "utf-8";'),
        ("a.scss", '@x "#{a("b")}"  c;', '@x "#{a("b")}" c;'),
        ("a.ts", "let a = 1;", "let a = 1;\r"),
        ("a.ts", "let  a\r = 1;", "let a\r = 1;"),
        ("a.ts", "let a = 1;", "let\u00a0a = 1;"),
        ("a.ts", "let a = 1;", "let a =\u2003 1;"),
        ("a.ts", "let  a\u200b = 1;", "let a\u200b = 1;"),  # what is marked is shown
        ("a.ts", "let  a = b;\u2028", "let a = b;\u2028"),  # ends a line
    ],
)
def test_spaces_that_may_have_a_meaning_are_shown(path, before, after):
    assert folded(path, f"{before}\n", f"{after}\n") == []


TEXTS = [  # what begins one, and what ends it
    ("a.go", "x := `", "`"),
    ("a.go", "/*", "*/"),
    ("a.ts", "let x = `", "`;"),
    ("a.ts", "let x = '\\'' + `", "`;"),
    ("a.ts", "let x = a / b + `", "`;"),
    ("a.ts", "let x = /[/`]/, y = `", "`;"),
    ("a.ts", "let x = a[1] / 2 + `", "`;"),
    ("a.ts", "/* ' ", "*/"),
    ("a.js", "let x = `", "`;"),
    ("a.js", "let x = a < b ? `", "` : 1;"),
    ("a.js", "let x = <pre>", "</pre>;"),
    ("a.js", "return <pre>don't", "</pre>;"),
    ("a.py", 'x = """', '"""'),
    ("a.py", "x = r'''", "'''"),
    ("a.py", "'\"\"\"', '''", "'''"),
    ("a.py", 'x = f"""', '"""'),
    ("a.py", 'def f():\n    """Say:\n\n    >>> f()', '    """'),
    ("a.java", 'var x = """', '""";'),
    ("a.java", 'var y = "\\"", x = """', '""";'),
    ("a.java", "/** <pre>", "</pre> */"),
    ("a.kt", 'val x = """', '"""'),
    ("a.kt", "/* /* */", "*/"),
    ("a.cs", 'var x = @"', '";'),
    ("a.cs", 'var x = "" + @"""', '";'),
    ("a.cs", 'var x = """', '""";'),
    ("a.cs", 'var x = $@"', '";'),
    ("a.cs", '#if NO\n @"\n#endif\n var x = @"', '";'),
    ("a.cpp", 'auto x = R"(', ')";'),
    ("a.cpp", 'auto x = LR"--(', ')--";'),
    ("a.c", "/* '", "*/"),
    ("a.c", "#define A /*", "*/"),
    ("a.c", '#include <a/*b>\nchar *x = "*/"; /*', "*/"),
    ("a.rs", 'let x = "', '";'),
    ("a.rs", 'let x = r#"', '"#;'),
    ("a.rs", "let y = '\"'; let x = \"", '";'),
    ("a.rs", "fn f<'a>(y: &'a str) { let x = \"", '"; }'),
    ("a.rs", "/* /* */", "*/"),
    ("a.rs", "view! {", "}"),
    ("a.css", "/*", "*/"),
    ("a.css", "a { b: url(/*)} /* ", "*/"),
    ("a.scss", "a { b: url(//c) } /* ", "*/"),
    ("a.less", "@a: `", "`;"),
    ("a.proto", "/*", "*/"),
    ("a.json", "/*", "*/"),
]


@pytest.mark.parametrize(("path", "begins", "ends"), TEXTS)
def test_what_is_in_a_text_that_began_far_above_is_shown(path, begins, ends):
    assert within(path, begins, "  one  two", "one two", ends) == []


@pytest.mark.parametrize(("path", "begins", "ends"), TEXTS)
def test_what_was_in_such_a_text_or_is_now_is_shown(path, begins, ends):
    far = "".join(f"x{number}\n" for number in range(FAR))
    for old, new in ((begins, "y"), ("y", begins)):
        texts = [f"{first}\n{far}{line}\n{far}" for first, line in ((old, "  one"), (new, "one"))]
        assert folded(path, *texts) == []


@pytest.mark.parametrize(
    ("path", "begins"),
    [
        ("a.go", "x := `\n ' \n`"),
        ("a.ts", "let x = `\n ' ${a('}')} \n`;"),
        ("a.ts", "let x = /[`/]/;"),
        ("a.ts", "let x = [\n  /`/,\n  !/`/];"),
        ("a.ts", "let x = (a + b) / `c`.length;"),
        ("a.js", "let x = a < b && c << 2;"),
        ("a.py", 'x = """\n \' \n"""\ny = f"{x!r}: {{"'),
        ("a.java", 'var x = """\n \\""" " \n""";'),
        ("a.kt", 'val x = """\n $a " \n"""'),
        ("a.cs", 'var x = @"\n "" ";'),
        ("a.cs", "#region don't"),
        ("a.cpp", "char x = L'\"'; int y = 1'000;"),
        ("a.c", "#define A(x) \\\n  x\n/* ' */"),
        ("a.rs", 'let x = r#"\n " "#; let y = \'"\'; let z: &\'static str;'),
        ("a.css", 'a::after { content: "/*"; b: url(a/b) }'),
        ("a.scss", "// don't\n.a--b:hover { c: url(//d) }"),
        ("a.json", '{ "a": "//" }'),
    ],
)
def test_what_stands_below_the_end_of_a_text_is_told(path, begins):
    far = "".join(f"x{number}\n" for number in range(FAR))
    texts = [f"{begins}\n{far}{line}\n{far}" for line in ("x  = y", "x = y")]
    assert folded(path, *texts) == ["x = y"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        # A backslash keeps no brace from being one, and a hole may hold the quote of its text.
        ("a.py", 'x = rf"\\{d["@"]}"'),
        ("a.py", 'x = f"\\{d["@"]}"'),
        ("a.py", "x = rf'\\{d['@']}'"),
        ("a.py", "# coding: utf-7\nx = +ACI-@+ACI-"),
        ("a.py", "#!/bin/python\n# vim: set fileencoding=utf-7 :\nx = +ACI-@+ACI-"),
        # The first backslash of two is only a character: the second takes the next line in.
        ("a.c", '// C:\\\\\n /*\nchar *s = "*/ @ /*"; // */'),
        ("a.c", '/* x *\\\n/ char *t = "*/ @ /*"; /* */'),
        ("a.c", "/* */ #include <@.h>"),
        ("a.css", ":root{\n--x/**/: @;\n}"),
        ("a.css", ":root{\n--a\\:b: @;\n}"),
        ("a.css", ":root{\n--\U0001f600: @;\n}"),
        ("a.scss", 'a{ b: asset-url(/*) " */ "@" /*"*/); }'),
        ("a.css", 'a{ b: my-url(/*) " */ "@" /*"*/); }'),
    ],
)
def test_what_only_looks_like_the_end_of_a_text_is_none(path, text):
    assert folded(path, *(text.replace("@", each) + "\n" for each in ("a   b", "a b"))) == []


def test_colours_have_no_say_for_they_are_not_sealed():
    file = sealed("a.ts", "  let a = 1;\n", "let a = 1;\n")
    runs = spaces.runs_of(file, ["let a = 1;"], Allowance())
    for colours in ("", "k5", "s12\ns10"):
        [block] = diff.blocks("-  let a = 1;\n+let a = 1;\n", 1, 1, "", colours, apart=runs["h0"])
        assert block.spaces


def test_both_sides_have_to_be_plain_files_of_one_language():
    texts = ("let  a = 1;\n", "let a = 1;\n")
    assert folded("a.ts", *texts, old_path="b.ts") == ["let a = 1;"]
    assert folded("a.ts", *texts, old_path="a.txt") == []
    assert folded("a.ts", *texts, old_path="fixtures/a.ts") == []
    assert folded("a.ts", *texts, new_mode="120000") == []
    assert folded("a.ts", *texts, old_mode="120000") == []


def test_a_file_that_is_not_what_its_hunks_say_is_shown():
    far = "".join(f"x{number}\n" for number in range(FAR))
    file = sealed("a.ts", f"{far}a  b\n", f"{far}a b\n")
    texts = f"{far}a b".split("\n")
    assert spaces.runs_of(file, texts, Allowance())
    for other in (None, [], texts[1:], texts[:10], [*texts[:-1], "a"], ["`", *texts]):
        assert spaces.runs_of(file, other, Allowance()) == {}


def test_a_hunk_below_others_that_grew_or_shrank_is_told_by_its_own_lines():
    far = "".join(f"x{number}\n" for number in range(FAR))
    for old, new in (("", "`\n`\n`\n`\n"), ("`\n`\n", ""), ("", "y\n")):
        texts = (f"{old}{far}a  b\n{far}c  d\n", f"{new}{far}a b\n{far}c d\n")
        assert folded("a.go", *texts) == ["a b", "c d"]


def test_a_newline_missing_at_the_end_is_no_space():
    file = sealed("a.ts", "  a();\n", "a();\n")
    file["hunks"][0]["text"] += "\\ No newline at end of file\n"
    assert spaces.runs_of(file, ["a();"], Allowance()) == {}


def test_a_bracket_that_is_the_same_by_chance_tears_no_change_apart():
    old, new = "  one(a);\n  }\n  two(b);\n", "    three(c);\n    }\n    four(d);\n"
    assert folded("a.ts", old, new) == []
    assert folded("a.ts", "if (x) {\n  }\n", "if (x) {\n    }\n") == ["    }"]


def test_more_than_a_page_may_compare_is_shown():
    old = "".join(f"  f({number});\n" for number in range(600))
    new = "".join(f"f({number});\n" for number in (*range(1, 600), 0))
    file = sealed("a.ts", old, new)
    spaces_of = [block.spaces for block in drawn(file, new, Allowance(steps=2_000))]
    assert not any(spaces_of)
    assert len(folded("a.ts", old, new)) == 599
    assert not any(block.spaces for block in drawn(file, new, Allowance(steps=10)))


def test_only_what_looks_so_asks_for_lines_around_it():
    for path, old, new, may in (
        ("a.ts", "a  b\n", "a b\n", True),
        ("a.ts", "a\n", "b\n", False),
        ("a.ts", "a\n", "a\nb\n", False),
        ("a.yaml", "a  b\n", "a b\n", False),
    ):
        file = sealed(path, old, new)
        assert [spaces.may_be_free(file, hunk) for hunk in file["hunks"]] == [may]
