"""What people spoke of is said to be addressed only where it does not stand as it did."""

from __future__ import annotations

import difflib
import itertools
import time

import pytest

from approvals.anchoring import Anchors
from approvals.lasting import Became, Later, Was
from approvals.matching import Allowance

MAIN = [f"line {number}" for number in range(1, 41)]
_KEYS = itertools.count()


def file_of(main: list[str], now: list[str], **facts) -> dict:
    """Return the file as it is sealed: its hunks are those of a diff."""
    hunks, blobs = [], {"old_blob": str(hash(tuple(main))), "new_blob": str(hash(tuple(now)))}
    rows = list(difflib.unified_diff(main, now, n=3, lineterm=""))[2:]
    for row in rows:
        if row.startswith("@@"):
            old, new = ([*part[1:].split(","), "1"][:2] for part in row.split()[1:3])
            place = dict(zip(("old_start", "old_lines"), map(int, old), strict=True))
            place |= dict(zip(("new_start", "new_lines"), map(int, new), strict=True))
            hunks.append({"id": f"h{next(_KEYS)}", "text": "", **place})
        else:
            hunks[-1]["text"] += f"{row}\n"
    plain = {"path": "a.py", "old_path": "", "status": "modified", "binary": False}
    return plain | blobs | {"hunks": hunks} | facts


def with_lines(main: list[str] = MAIN, **lines: str | None) -> list[str]:
    """Return a file with these lines instead, by number: `n3="three"`; None takes one out."""
    changed = {int(name[1:]): line for name, line in lines.items()}
    now = [changed.get(number, line) for number, line in enumerate(main, 1)]
    return [each for line in now if line is not None for each in line.split("\n")]


def was(file: dict, at: int = 0, beside=("a.py",)) -> Was:
    """Return a hunk of a file as it was."""
    names = {name: file[name] for name in ("path", "old_path", "status", "old_blob")}
    hunk = {name: file["hunks"][at][name] for name in ("id", "old_start", "new_start", "text")}
    return Was(hunk=hunk, beside=beside, **names)


def later(*files: dict, texts=None) -> Later:
    return Later(files, Anchors(Allowance()), lambda blobs: texts or {})


def refused(before: list[str], now: list[str], main: list[str] = MAIN) -> bool:
    """Tell whether what the first hunk changed still stands."""
    return later(file_of(main, now)).hunk(was(file_of(main, before)))


@pytest.mark.parametrize(
    "now",
    [
        with_lines(n3="three"),
        with_lines(n3="three", n8="eight"),  # git joins the two
        with_lines(n3="three", n4="four"),
        with_lines(n3="three", n2="two"),
        with_lines(n3="zero\nthree\nfour"),
        with_lines(n2=None, n3="three", n30="thirty"),
    ],
)
def test_what_was_refused_stands_whatever_is_changed_beside_it(now):
    assert refused(with_lines(n3="three"), now)


@pytest.mark.parametrize(
    "now",
    [
        with_lines(n8="eight"),
        with_lines(n3="3", n8="eight"),
        with_lines(n3="three and more"),
        with_lines(n3="line 3\nthree"),  # main's line is back
        with_lines(n3="line 3 again"),
    ],
)
def test_what_is_taken_back_or_written_otherwise_does_not(now):
    assert not refused(with_lines(n3="three"), now)


def test_of_several_lines_one_that_is_otherwise_is_enough():
    before = with_lines(n3="def total():\n    x = 1\n    return compute(x)\n")
    assert refused(
        before, with_lines(n3="def total():\n    x = 1\n    return compute(x)\n", n9="9")
    )
    assert not refused(before, with_lines(n3="def total():\n    x = 2\n    return compute(x)\n"))
    assert not refused(before, with_lines(n3="def total():\n    return compute(x)\n"))
    assert not refused(before, with_lines(n3="    return compute(x)\ndef total():\n    x = 1\n"))


@pytest.mark.parametrize(
    ("now", "around"),
    [
        (with_lines(n3="three"), False),
        (with_lines(n3="three", n8="eight"), False),  # beyond what the hunk showed
        (with_lines(n3="three", n7="seven"), False),
        (with_lines(n3="three", n6="six and more"), True),
        (with_lines(n1=None, n3="three"), True),
        (with_lines(n3="three", n6=None), True),
        (with_lines(n3="above all\nthree"), True),
        (with_lines(n3="three", n5="line 5\n}"), False),  # a bracket tells nothing
        (with_lines(n1="before it\nline 1", n3="three"), False),
        (with_lines(n3="three", n6="line 6\nbehind it"), False),
    ],
)
def test_what_is_changed_within_the_hunk_is_around_its_lines(now, around):
    before = was(file_of(MAIN, with_lines(n3="three")))
    assert later(file_of(MAIN, now)).hunk(before)
    assert later(file_of(MAIN, now)).around(before) is around


def test_a_line_more_in_a_new_file_is_around_the_others():
    new = [f"value_{n} = {n}" for n in range(5)]
    before = was(file_of([], new, status="added"))
    assert later(file_of([], ["# why", *new], status="added")).around(before)
    assert not later(file_of([], new, status="added")).around(before)


def test_lines_that_are_taken_out_stand_as_taken_out():
    before = with_lines(n3=None, n4=None)
    assert refused(before, with_lines(n3=None, n4=None, n6=None))
    assert not refused(before, with_lines(n3=None))


def test_a_bracket_is_looked_for_in_its_own_place_only():
    before = with_lines(n3="line 3\n}")
    assert refused(before, with_lines(n3="line 3\n}", n5="five"))
    assert not refused(before, with_lines(n30="line 30\n}"))


def test_a_blank_that_git_takes_for_an_unchanged_one_is_no_change():
    main = [*MAIN[:5], "", *MAIN[5:]]
    before = file_of(main, [*main[:5], "one()", "", "two()", *main[5:]])
    now = file_of(main, [*main[:5], "one()", "", "two()", "", *main[6:]])
    now["hunks"][0]["text"] = now["hunks"][0]["text"].replace("+\n", " \n", 1)
    assert later(now).hunk(was(before))


def test_a_file_under_another_name_is_the_same_file():
    before = file_of(MAIN, with_lines(n3="three"))
    now = with_lines(n3="three")
    renamed = {"path": "b.py", "old_path": "a.py", "status": "renamed"}
    assert later(file_of(MAIN, now, **renamed)).hunk(was(before))
    once = file_of(MAIN, now, path="c.py", old_path="a.py", status="renamed")
    assert later(file_of(MAIN, now, **renamed)).hunk(was(once))
    assert later(file_of(MAIN, now)).hunk(was(once))
    assert not later(file_of(MAIN, with_lines(n4="four"), **renamed)).hunk(was(before))


def moved(now: list[str], path: str = "new/b.py") -> list[dict]:
    """Return the files of a change git knows no rename in."""
    gone = file_of(MAIN, [], status="deleted")
    return [gone, file_of([], now, path=path, status="added")]


def test_lines_moved_to_a_file_of_no_old_name_stand_there():
    before = file_of(MAIN, with_lines(n3="three is new"))
    now = [*with_lines(n3="three is new")[:10], *(f"other {n}" for n in range(60))]
    assert later(*moved(now)).hunk(was(before))
    line = later(*moved(now)).line(was(before), "new", 3)
    assert (line.became, line.spot.line) == (Became.SHOWN, 3)
    assert not later(*moved(now[:2])).hunk(was(before))


def test_a_file_that_was_always_beside_it_is_not_taken_for_it():
    """Two new tests are alike, and one of them is mended."""
    text = [f"assert total({n}) == {n}" for n in range(9)]
    first = file_of([], text, path="test_a.py", status="added")
    mended = file_of([], ["assert none()", *text[1:]], path="test_a.py", status="added")
    other = file_of([], text, path="test_b.py", status="added")
    both = was(first, beside=("test_a.py", "test_b.py"))
    assert not later(mended, other).hunk(both)
    assert later(mended, other).line(both, "new", 1).became == Became.GONE


def test_a_file_that_is_binary_now_hides_nothing():
    before = file_of(MAIN, with_lines(n3="three"))
    now = file_of(MAIN, MAIN, binary=True)
    assert later(now).hunk(was(before))
    assert later(now).line(was(before), "new", 3).became == Became.BINARY


def test_a_file_that_is_not_changed_any_more():
    before = file_of(MAIN, with_lines(n3="three"))
    fates = {(side, n): later().line(was(before), side, n).became for side, n in SPOKEN}
    assert not later().hunk(was(before))
    assert fates == {
        ("new", 3): Became.GONE,
        ("old", 3): Became.BACK,
        ("new", 5): Became.UNSHOWN,
        ("old", 5): Became.UNSHOWN,
    }


SPOKEN = [("new", 3), ("old", 3), ("new", 5), ("old", 5)]


@pytest.mark.parametrize("side", ["new", "old"])
def test_a_line_around_a_change_stands_where_no_hunk_shows_it(side):
    before = file_of(MAIN, with_lines(n3="three", n6="six"))
    now = file_of(MAIN, with_lines(n1="one\nand\nmore", n3="three"))
    fate = later(now).line(was(before), side, 9)
    assert (fate.became, fate.number, fate.stands) == (Became.UNSHOWN, 11, True)


def test_a_line_around_a_change_that_is_taken_out_is_gone():
    before = file_of(MAIN, with_lines(n3="three", n6="six"))
    for side in ("new", "old"):
        now = file_of(MAIN, with_lines(n3="three", n9="nine"))
        assert later(now).line(was(before), side, 9).became == Became.GONE
        now = file_of(MAIN, with_lines(n9=None, n20="line 20\nline 9"))
        assert later(now).line(was(before), side, 9).became == Became.SHOWN  # moved


def test_a_line_that_was_taken_out_and_is_back_is_not_called_gone():
    before = file_of(MAIN, with_lines(n3=None))
    assert (
        later(file_of(MAIN, with_lines(n5="5"))).line(was(before), "old", 3).became == Became.BACK
    )
    assert later(file_of(MAIN, with_lines(n30="30"))).line(was(before), "old", 3).spot is None
    still = later(file_of(MAIN, with_lines(n3=None, n5="5"))).line(was(before), "old", 3)
    assert (still.became, still.spot.line) == (Became.SHOWN, 3)


def test_a_line_that_says_little_is_called_gone_only_where_none_is_like_it():
    before = file_of(MAIN, with_lines(n3="a()\n}\nb()"))
    around = file_of(MAIN, with_lines(n3="aa()\n}\nbb()"))
    assert later(around).line(was(before), "new", 4).became == Became.UNTOLD
    away = file_of(MAIN, with_lines(n3="aa()\nbb()", n30="}"))
    assert later(away).line(was(before), "new", 4).became == Became.GONE


def test_where_main_has_changed_the_file_it_is_read():
    moved_main = ["first", "second", *MAIN]
    before = file_of(MAIN, with_lines(n3="three", n6="six"))
    now = with_lines(moved_main, n5="three")
    file = file_of(moved_main, now)
    known = later(file, texts={file["new_blob"]: now})
    assert known.line(was(before), "new", 9).number == 11
    assert known.line(was(before), "new", 6).became == Became.GONE
    assert later(file).line(was(before), "new", 9).became == Became.UNTOLD
    assert known.hunk(was(file_of(MAIN, with_lines(n3="three"))))


def test_files_are_read_at_once_and_only_where_one_is_needed():
    read = []

    def texts(blobs):
        read.append(blobs)
        return {}

    moved_main = ["first", *MAIN]
    files = [file_of(moved_main, with_lines(moved_main, n4="x"), path=f"{n}.py") for n in "abc"]
    for number, file in enumerate(files):
        file["new_blob"] = str(number)
    spoken = [was(file_of(MAIN, with_lines(n3="x", n6="y"), path=f"{n}.py")) for n in "abc"]
    asked = Later(files, Anchors(Allowance()), texts)
    for one in spoken:
        asked.expect(one)
        assert asked.line(one, "new", 1).became == Became.SHOWN
    assert read == []
    for one in spoken:
        asked.line(one, "new", 9)
    assert read == [["0", "1", "2"]]


def test_two_hundred_comments_on_a_long_hunk_are_told_at_once():
    new = [f"    value_{n} = compute({n % 50})" for n in range(2_000)]
    before = file_of([], new, status="added")
    now = file_of([], [line.replace("compute", "count") for line in new], status="added")
    asked, one = later(now), was(before)
    begin = time.process_time()  # of ours: others may want the processor
    assert {asked.line(one, "new", n).became for n in range(1, 201)} == {Became.GONE}
    assert not asked.hunk(one)
    assert time.process_time() - begin < 2.0


@pytest.mark.parametrize(
    "text", ["no marker\n\n+x\n", "@@ -1 +1 @@\n", "\\ No newline\n", "", "\n"]
)
def test_rows_git_never_wrote_break_nothing(text):
    file = file_of(MAIN, with_lines(n3="three"))
    hunk = {"id": "odd", "old_start": 1, "new_start": 1, "text": text}
    odd = Was(hunk=hunk, beside=(), path="a.py", old_path="", status="modified", old_blob="x")
    sealed = file | {"hunks": [hunk | {"old_lines": 1, "new_lines": 1, "id": "sealed"}]}
    for files in [], [file], [sealed], [sealed | {"old_blob": "x"}]:
        for side in "old", "new":
            assert later(*files).line(odd, side, 1).became in Became
        assert later(*files).hunk(odd) in {True, False}
        assert later(*files).around(odd) in {True, False}
