"""A line that was commented on is found in the next version, or said to be gone."""

from __future__ import annotations

import time

import pytest

from approvals.anchoring import Anchors, Spot, nearest_hunk
from approvals.matching import Allowance

BEFORE = """\
 def tax(lines):
-    return sum(quantize(line) for line in lines)
+    total = sum(lines)
+    return quantize(total)
\x20
 def total(lines):
     return sum(lines)
"""


def hunk(text: str, *, key: str = "a", old: int = 10, new: int = 10) -> dict:
    lines = text.removesuffix("\n").split("\n")
    return {
        "id": key,
        "old_start": old,
        "old_lines": sum(line[:1] != "+" for line in lines),
        "new_start": new,
        "new_lines": sum(line[:1] != "-" for line in lines),
        "text": text,
    }


def found(after: list[dict], line: int, side: str = "new") -> Spot | None:
    return Anchors(Allowance()).spot_of(hunk(BEFORE), side, line, {"path": "a.py", "hunks": after})


@pytest.mark.parametrize("side", ["old", "new"])
@pytest.mark.parametrize("line", [10, 11, 12, 13, 14])
def test_in_an_identical_resubmission_every_line_stands_where_it_was(side, line):
    moved = hunk(BEFORE, key="b", old=210, new=310)
    by = 200 if side == "old" else 300
    assert found([moved], line, side) == Spot(hunk="b", side=side, line=line + by)


def test_lines_after_an_insertion_move_with_it():
    after = BEFORE.replace("+    total", "+    lines = list(lines)\n+    total")
    assert found([hunk(after)], 11) == Spot(hunk="a", side="new", line=12)
    assert found([hunk(after)], 10) == Spot(hunk="a", side="new", line=10)


def test_a_line_that_was_rewritten_is_gone_and_its_neighbours_are_not():
    after = hunk(BEFORE.replace("quantize(total)", "quantize(total, HALF_EVEN)"))
    assert found([after], 12) is None
    assert found([after], 11) == Spot(hunk="a", side="new", line=11)


def test_a_line_that_was_moved_is_found_by_its_text_the_nearest_first():
    text = BEFORE.replace("+    return quantize(total)\n", "")
    far = hunk("+    return quantize(total)\n", key="far", old=400, new=400)
    near = hunk("+    return quantize(total)\n", key="near", old=60, new=60)
    assert found([hunk(text), near, far], 12) == Spot(hunk="near", side="new", line=60)


def test_a_line_that_says_little_is_not_taken_for_another():
    elsewhere = hunk("+x = 1\n+\n+y = 2\n", key="b")
    assert found([elsewhere], 13) is None


def test_a_line_of_the_other_side_is_another_line():
    assert found([hunk("-    total = sum(lines)\n")], 11) is None
    assert found([hunk("-    total = sum(lines)\n")], 11, "old") is None


def test_a_file_that_is_as_it_was_has_no_line_left():
    assert found([], 11) is None
    assert nearest_hunk("new", 11, {"hunks": []}) == ""


def test_what_took_the_place_of_a_line_is_the_hunk_next_to_it():
    hunks = [hunk(BEFORE, key="a", new=10), hunk(BEFORE, key="b", new=60)]
    assert [nearest_hunk("new", line, {"hunks": hunks}) for line in (1, 12, 30, 50, 99)] == [
        "a",
        "a",
        "a",
        "b",
        "b",
    ]


def test_a_line_that_git_has_no_newline_behind_counts_nothing():
    after = hunk("-a\n\\ No newline at the end of file\n+    total = sum(lines)\n")
    assert found([after], 11) == Spot(hunk="a", side="new", line=10)


def test_very_long_hunks_are_not_compared_line_by_line():
    many = [f"+line number {line}\n" for line in range(5_000)]
    turned = "".join([*many[2_500:], *many[:2_500]])
    before, file = hunk("".join(many)), {"path": "a.py", "hunks": [hunk(turned, key="b", new=7)]}
    assert Anchors(Allowance()).spot_of(before, "new", 4_010, file) == Spot(
        hunk="b", side="new", line=1_507
    )


def test_a_long_file_with_few_edits_is_followed_line_by_line():
    many = [
        f"+{line % 7}\n" for line in range(5_000)
    ]  # texts that say too little to be searched for
    edited = [*many[:2_400], "+two\n", "+more\n", *many[2_400:2_500], "+three\n", *many[2_501:]]
    file = {"path": "a.py", "hunks": [hunk("".join(edited), key="b")]}
    anchors, before = Anchors(Allowance()), hunk("".join(many))
    found = [anchors.spot_of(before, "new", line, file) for line in (10, 2_450, 4_009)]
    assert [spot and spot.line for spot in found] == [10, 2_452, 4_011]


def test_a_short_line_between_edits_at_both_ends_of_a_long_file_is_not_gone():
    many = [f"+value_{line} = compute({line})\n" for line in range(1_500)]
    many[800] = "+}\n"
    file = {"path": "a.py", "hunks": [hunk("".join(["+new\n", *many[1:-1], "+new\n"]), key="b")]}
    spot = Anchors(Allowance()).spot_of(hunk("".join(many)), "new", 810, file)
    assert spot == Spot(hunk="b", side="new", line=810)


def test_two_hundred_comments_on_a_long_file_compare_it_once():
    base = [f"+value_{line} = compute({line})\n" for line in range(2_000)]
    now = "".join(text for line, text in enumerate(base) if line % 17)
    file = {"path": "a.py", "hunks": [hunk(now, key="b")]}
    anchors, before = Anchors(Allowance()), hunk("".join(base))
    began = time.process_time()
    found = [anchors.spot_of(before, "new", 10 + 10 * number, file) for number in range(200)]
    assert time.process_time() - began < 1.2  # what a page may take in all
    gone = sum(10 * number % 17 == 0 for number in range(200))
    assert sum(spot is None for spot in found) == gone


def test_the_sides_and_files_of_a_page_are_told_apart():
    anchors, before = Anchors(Allowance()), hunk(BEFORE)
    for path, side, line in (("a.py", "old", 12), ("a.py", "new", 13), ("b.py", "new", 63)):
        after = hunk(BEFORE, key=path, new=60 if path == "b.py" else 10)
        found = anchors.spot_of(before, side, line % 50, {"path": path, "hunks": [after]})
        assert found == Spot(hunk=path, side=side, line=line)
