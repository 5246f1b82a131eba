"""What is warned of a change, from its files alone."""

from __future__ import annotations

import pytest

from agents import cautions
from approvals.models import Risk
from approvals.risk import score
from tests.changed_files import Change

KEY = "k = 'AKIA" + "ABCDEFGHIJKLMNOP'\n"  # in two parts: no scanner takes it for a real one
NBSP = "a\u00a0b\n"


@pytest.mark.parametrize(
    ("path", "kind", "text"),
    [
        ("con\u200bfig.py", "hidden_character", "U+200B ZERO WIDTH SPACE, in the file's name"),
        ("inv\u202egnp.py", "hidden_character", "U+202E RIGHT-TO-LEFT OVERRIDE, in the file's"),
        ("b\u0456lling.py", "lookalike_character", "U+0456 CYRILLIC SMALL LETTER"),
    ],
)
def test_a_name_that_is_not_what_it_seems_is_warned_of(path, kind, text):
    (found,) = Change().file(path, old="x\n").warnings()
    assert (found["kind"], found["path"], found["line"]) == (kind, path, 0)
    assert found["text"].startswith(text)


def test_a_plain_name_is_not():
    assert Change().file("docs/über uns.md", old="x\n").warnings() == []


def test_marks_of_conflicts_hide_no_secret():
    found = Change().file("src/a.py", new="<<<<<<< x\n" * 400 + KEY).warnings()
    assert (found[0]["kind"], found[0]["line"]) == ("secret", 401)
    assert [one["kind"] for one in found[1:]] == ["conflict_mark"] * 10 + ["more"]
    assert found[-1]["text"] == "390 more are not listed: 390 conflict marks."
    assert found[-1]["left"] == {"conflict_mark": 390}


def test_a_flood_in_other_files_hides_no_first_of_a_kind():
    change = Change()
    for number in range(300):
        change.file(f"a/{number:03}.txt", new=NBSP * 30)
    found = change.file("z.py", new=KEY + "pa\u0441e = 1\n").warnings()
    assert [one["kind"] for one in found if one["path"] == "z.py"] == [
        "secret",
        "lookalike_character",
    ]
    assert found[0]["kind"] == "secret"
    hidden = [one for one in found if one["kind"] == "hidden_character"]
    assert len({one["path"] for one in hidden}) == 300
    told = sum(one["left"]["hidden_character"] for one in found if one["kind"] == "more")
    assert len(hidden) + told == 300 * 30


def test_a_few_warnings_are_all_listed():
    found = Change().file("a.txt", new=NBSP * 10).file("b.txt", new=NBSP * 10).warnings()
    assert [one["kind"] for one in found] == ["hidden_character"] * 20


def test_what_is_hidden_in_new_lines_is_told_before_what_was_there():
    change = Change().file("a.txt", old=NBSP * 40, new=NBSP * 40 + "new\u200b\n")
    assert change.warnings()[0]["line"] == 41


def test_the_gravest_kinds_stand_first():
    change = Change().file("a.sh", old="x\n", new="<<<<<<< a\nx\np\u0430ss\nhalf\u200b\n" + KEY)
    change.file("tests/test_a.py", old="def test_a(): pass\n")
    kinds = ["secret", "hidden_character", "lookalike_character", "deleted_test", "conflict_mark"]
    assert change.kinds() == kinds
    also = [cautions.warning("outside_plan", "a.sh", 0, "x"), cautions.warning("new", "", 0, "x")]
    assert cautions.rank("new") > cautions.rank("egress")
    mixed = cautions.warnings_of(change, change.files, also=also)
    assert [one["kind"] for one in mixed] == [*kinds[:3], "outside_plan", *kinds[3:], "new"]


@pytest.mark.parametrize(
    ("path", "new"),
    [
        ("deploy.sh", b"#\0\n" + KEY.encode()),
        ("deploy.sh", b"\0" + KEY.encode()[5:]),  # nothing stands before the key
        ("notes.txt", KEY.encode("utf-16")),
        ("a.bin", b"\xff\xfe" + KEY.encode()[5:]),
    ],
)
def test_a_file_that_is_no_text_is_searched_for_secrets(path, new):
    kinds = Change().file(path, new=new, binary=True).kinds()
    assert kinds == ["secret", "binary"]


def test_a_byte_that_is_no_letter_hides_no_secret():
    key = KEY.encode()[5:]
    for before in (b"\0", b"\xff"):
        assert Change().file("a.txt", new=b"x\n" * 5_000 + before + key).kinds() == ["secret"]


def test_a_link_may_hold_one_and_a_name_too():
    key = KEY[5:-2]
    assert Change().file("a", new=f"../{key}", mode="120000").kinds() == ["secret", "symlink"]
    assert Change().file(f"keys/{key}.txt", new="x\n").kinds() == ["secret"]


def test_a_picture_and_a_secret_that_was_there_are_none():
    assert Change().file("a.png", new=bytes(range(256)) * 400, binary=True).kinds() == ["binary"]
    assert Change().file("a.py", old=KEY, new=KEY + "x = 1\n").kinds() == []


def test_a_file_too_large_for_all_is_searched_for_secrets_and_its_new_lines_for_more(monkeypatch):
    long = "x = 10\n" * 300_000
    change = Change().file("a.py", old=long, new=long + KEY + "half\u200b\n")
    assert change.kinds() == ["secret", "hidden_character", "not_scanned"]
    assert change.warnings()[1]["line"] == 300_002
    assert change.warnings()[-1]["text"].endswith("but for its new lines.")
    change = Change().file("b.py", new=long + KEY)
    assert change.kinds() == ["secret", "not_scanned"]
    monkeypatch.setattr(cautions.text, "SECRET_BYTES", 100)
    assert change.kinds() == ["not_scanned", "not_scanned"]
    assert "searched for secrets" in change.warnings()[0]["text"]


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (
            "a\nb\nc\n",
            "a\r\nb\r\nc\r\n",
            "Only the line endings of 3 lines change from LF to CRLF.",
        ),
        ("a\r\nb\r\n", "a\nb\n", "Only the line endings of 2 lines change from CRLF to LF."),
        ("a\nb\nc\n", "a\r\nb\nc\n", "Only the line endings of 1 line change from LF to CRLF."),
        ("a\nb\nc\n", "a\r\nB\r\nc\r\n", "The line endings of 2 lines change from LF to CRLF, be"),
        ("a\nb\n", "a\nb\nrm x\r\n", "1 new line ends in CRLF, those around in LF."),
        ("a\r\nb\r\n", "a\r\nb\r\nc\nd\n", "2 new lines end in LF, those around in CRLF."),
    ],
)
def test_line_endings_that_change_are_told(old, new, text):
    (found,) = Change().file("src/a.py", old=old, new=new).warnings()
    assert found["kind"] == "line_endings"
    assert found["text"].startswith(text)
    assert risk_of(found) == Risk.MEDIUM


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a\nb\n", "a\nB\n"),
        ("a\r\nb\r\n", "a\r\nB\r\n"),
        (None, "a\r\nb\r\n"),  # it is new, and like this from the first line
        ("a\r\nb\r\n", "a\r\nb\r\nc"),  # the last one does not end
        ("a\r\nb", "a\r\nb\r\n"),
        ("a\r\nb\nc\r\n", "a\r\nb\nc\r\nd\n"),  # both were there
        ("a\r\nb\r\n", None),
    ],
)
def test_lines_that_end_as_before_are_not(old, new):
    assert Change().file("src/a.py", old=old, new=new).kinds() == []


def test_every_kind_has_its_words_and_its_risk():
    for kind in ("line_endings", "egress", "prompt_injection", "thinned_test", "skipped_test"):
        assert risk_of(cautions.warning(kind, "src/a.py", 1, "x")) == Risk.MEDIUM
    level, reasons = score(snapshot(cautions.warning("of later", "src/a.py", 1, "x")))
    assert (level, reasons) == (Risk.MEDIUM, ["Carries a warning: of later."])


def risk_of(*warnings: cautions.Caution) -> Risk:
    level, (reason,) = score(snapshot(*warnings))
    assert "Carries a warning" not in reason
    assert "src/a.py" in reason
    return level


def snapshot(*warnings: cautions.Caution) -> dict:
    file = {"path": "src/a.py", "old_path": "", "status": "modified", "binary": False}
    file |= {"added": 3, "removed": 3, "old_mode": "100644", "new_mode": "100644"}
    parts = {"claims": [], "proposal": {}, "effects": [{"kind": "git.merge", "reversible": True}]}
    checks = {"ran": True, "exit_code": 0}
    return {**parts, "files": [file], "checks": checks, "warnings": list(warnings)}
