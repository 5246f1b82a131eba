"""What a hunk says otherwise than the version before: exact, by line, whatever the hunks look like."""

from __future__ import annotations

import difflib
import random
import re

import pytest

from approvals.between import differences
from approvals.matching import Allowance

HEAD = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
MAIN = [f"line {number}" for number in range(1, 41)]


def hunks(old: list[str], new: list[str], mark: str) -> list[dict]:
    """Return the hunks git would make, but for functions it names."""
    found: list[dict] = []
    for line in list(difflib.unified_diff(old, new, lineterm=""))[2:]:
        if head := HEAD.fullmatch(line):
            start, count, new_start, new_count = (int(each or 1) for each in head.groups())
            place = {"old_start": start, "old_lines": count}
            place |= {"new_start": new_start, "new_lines": new_count}
            found.append({"id": f"{mark}{len(found)}", **place, "text": ""})
        else:
            found[-1]["text"] += f"{line}\n"
    return found


def compared(before: list[str], now: list[str], *, main: list[str] = MAIN, steps: int = 10_000):
    later = hunks(main, now, "n")
    ids = {each["id"] for each in later}
    return differences(hunks(main, before, "b"), later, ids, Allowance(steps))


def sides(part) -> tuple[list[str], list[str]]:
    lines = part.text.splitlines()
    return [line[1:] for line in lines if line[0] in " -"], [
        line[1:] for line in lines if line[0] in " +"
    ]


def changed(main: list[str], **lines: str | None) -> list[str]:
    """Return lines with some replaced, by number, or left out."""
    given = {int(name[1:]): text for name, text in lines.items()}
    found = [given.get(number, line) for number, line in enumerate(main, 1)]
    return [line for line in found if line is not None]


def test_only_lines_that_differ_between_the_two_are_told():
    before = changed(MAIN, l10="ten", l11="eleven", l12="twelve")
    now = changed(MAIN, l10="ten", l11="Eleven", l12="twelve")
    [difference] = compared(before, now).values()
    [part] = difference.parts
    assert (difference.added, difference.removed) == (1, 1)
    assert part.text == (" line 8\n line 9\n ten\n-eleven\n+Eleven\n twelve\n line 13\n line 14\n")
    assert (part.old_start, part.new_start) == (8, 8)


def test_a_line_is_numbered_as_in_its_version():
    before = ["first", *changed(MAIN, l20="twenty")]
    now = ["first", "second", *changed(MAIN, l20="Twenty", l21=None)]
    found = compared(before, now)
    assert [each.parts[0].text for each in found.values()] == [
        " first\n+second\n line 1\n line 2\n line 3\n",
        " line 17\n line 18\n line 19\n-twenty\n-line 21\n+Twenty\n line 22\n line 23\n line 24\n",
    ]
    second = found["n1"].parts[0]
    assert before[second.old_start - 1] == "line 17"
    assert now[second.new_start - 1] == "line 17"


def test_what_was_taken_back_beside_what_stays_is_told():
    before = changed(MAIN, l10="ten", l14="fourteen")
    now = changed(MAIN, l10="ten")
    [difference] = compared(before, now).values()
    assert "-fourteen\n+line 14\n" in difference.parts[0].text


def test_a_hunk_where_none_stood_has_no_difference():
    assert compared(changed(MAIN, l5="five"), changed(MAIN, l5="five", l30="thirty")) == {}


def test_hunks_that_stood_apart_and_are_one_now_are_told_once():
    before = changed(MAIN, l10="ten", l20="twenty")
    now = changed(MAIN, l10="ten", l15="fifteen", l20="twenty")
    [difference] = compared(before, now).values()
    assert "-line 15\n+fifteen\n" in difference.parts[0].text
    assert (difference.added, difference.removed) == (1, 1)


def test_far_apart_in_one_hunk_they_are_parts_of_their_own():
    before = [f"new {number}" for number in range(40)]
    now = [*before]
    now[2], now[30] = "two", "thirty"
    [difference] = compared(before, now, main=[]).values()
    assert [part.new_start for part in difference.parts] == [1, 28]


def test_only_hunks_that_are_new_are_told_of():
    later = hunks(MAIN, changed(MAIN, l10="Ten", l30="thirty"), "n")
    earlier = hunks(MAIN, changed(MAIN, l10="ten", l30="thirty"), "b")
    assert set(differences(earlier, later, {"n0"}, Allowance(1_000))) == {"n0"}
    assert differences(earlier, later, {"n1"}, Allowance(1_000)) == {}


def test_a_newline_that_is_missing_at_the_end_is_told():
    gone = "\\ No newline at end of file\n"
    place = {"old_start": 1, "old_lines": 1, "new_start": 1, "new_lines": 1}
    before = {"id": "b", **place, "text": "-a\n+b\n"}
    now = {"id": "n", **place, "text": f"-a\n+b\n{gone}"}
    [difference] = differences([before], [now], {"n"}, Allowance(10)).values()
    assert difference.parts[0].text == f"-b\n+b\n{gone}"


def test_versions_of_another_main_are_not_compared():
    earlier = hunks(MAIN, changed(MAIN, l10="ten"), "b")
    moved = changed(MAIN, l9="nine")
    later = hunks(moved, changed(moved, l10="Ten"), "n")
    assert differences(earlier, later, {"n0"}, Allowance(1_000)) == {}


def test_past_the_allowance_all_between_the_ends_counts_as_one():
    before = changed(MAIN, l10="ten", l11="eleven", l12="twelve")
    now = changed(MAIN, l10="Ten", l11="eleven", l12="Twelve")
    [difference] = compared(before, now, steps=1).values()
    assert (difference.added, difference.removed) == (3, 3)


@pytest.mark.parametrize("seed", range(60))
def test_every_difference_and_nothing_else_is_told_of_any_two_versions(seed):
    chance = random.Random(seed)  # noqa: S311  reproducible, not secret
    main = [chance.choice("abcdefgh") for _ in range(chance.randrange(60))]

    def version() -> list[str]:
        lines = [*main]
        for _ in range(chance.randrange(1, 8)):
            at = chance.randrange(len(lines) + 1)
            lines[at : at + chance.randrange(3)] = chance.choices("XYZab", k=chance.randrange(3))
        return lines

    before, now = version(), version()
    found = compared(before, now, main=main, steps=chance.choice([0, 10_000]))
    patched, shift = [*before], 0
    for part in (part for each in found.values() for part in each.parts):
        old, new = sides(part)
        at = part.old_start - 1
        assert before[at : at + len(old)] == old
        assert now[part.new_start - 1 : part.new_start - 1 + len(new)] == new
        patched[at + shift : at + shift + len(old)] = new
        shift += len(new) - len(old)
    told = {each["id"] for each in hunks(main, now, "n")}
    # What is not told stands where one of the two has no hunk at all.
    if len(told) == len(found) and not _gone(main, before, now):
        assert patched == now


def _gone(main: list[str], before: list[str], now: list[str]) -> bool:
    """Tell whether a hunk of the earlier version has nothing in its place in the later."""
    later = [(h["old_start"], h["old_start"] + h["old_lines"]) for h in hunks(main, now, "n")]
    return any(
        not any(
            start <= h["old_start"] + h["old_lines"] and h["old_start"] <= end
            for start, end in later
        )
        for h in hunks(main, before, "b")
    )
