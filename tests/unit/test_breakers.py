"""Each breaker below, at and above its threshold, and the honest work it must not stop."""

from __future__ import annotations

from itertools import count

import pytest

from agents.breakers.calls import PLATFORM, Call, History, Tripped, Warned
from agents.breakers.fingerprints import of_error, of_result
from agents.breakers.judging import after_call, before_turn
from agents.breakers.thresholds import Thresholds

_ids = count()


def read(what: str, response: int, result: str = "", **facts) -> Call:
    result = result or f"text of {what}"
    return Call(
        id=str(next(_ids)), response=response, tool="read", fingerprint=what, result=result, **facts
    )


def fail(what: str, response: int, error: str = "no such file") -> Call:
    return read(what, response, error, failed=True, error=error)


def edit(tree: str, response: int, what: str = "") -> Call:
    return read(what or f"edit {tree} {next(_ids)}", response, "Changed.", writes=True, tree=tree)


def checks(response: int, outcome: str = "1 failed") -> Call:
    return read("checks", response, outcome)


def judged(*calls: Call, base: str = "T0", limits: Thresholds | None = None):
    """Judge as a run would: after every call and before every turn, until one trips."""
    limits = limits or Thresholds()
    verdict, before = None, []
    for call in calls:
        if before and before[-1].response != call.response:
            verdict = before_turn(History.of(before, base), limits)
            if isinstance(verdict, Tripped):
                return verdict
        before.append(call)
        verdict = after_call(History.of(before, base), limits)
        if isinstance(verdict, Tripped):
            return verdict
    standing = before_turn(History.of(before, base), limits)
    return standing if isinstance(standing, Tripped) else verdict or standing


# Repeated call


@pytest.mark.parametrize(("times", "ends"), [(1, None), (2, Warned), (3, Tripped), (4, Tripped)])
def test_the_same_call_warns_at_two_and_trips_at_three(times, ends) -> None:
    verdict = judged(*[read("a", turn) for turn in range(times)])
    assert (type(verdict) if verdict else None) is ends
    if verdict:
        assert verdict.rule == "repeated_call"
    if ends is Tripped:
        assert (verdict.threshold, verdict.observed, len(verdict.calls)) == (3, 3, 3)


@pytest.mark.parametrize(("between", "trips"), [(3, True), (4, True), (5, False)])
def test_only_the_last_ten_calls_are_looked_at(between, trips) -> None:
    turns = count()
    calls = []
    for part in range(3):  # the three lie 2 * between + 3 calls apart
        calls.append(read("a", next(turns)))
        calls += [
            read(f"{part} {other}", next(turns)) for other in range(between if part < 2 else 0)
        ]
    limits = Thresholds(window=11)
    assert isinstance(judged(*calls, limits=limits), Tripped) is trips


def test_alike_calls_of_one_answer_count_once() -> None:
    assert judged(*[read("a", 0)] * 5) is None
    assert isinstance(judged(*[read("a", 0)] * 5, *[read("a", 1)] * 5), Warned)
    assert judged(*[read("a", n) for n in (0, 0, 1, 1, 2)]).rule == "repeated_call"


def test_the_same_call_with_another_result_is_no_repetition() -> None:
    assert judged(*[read("log", turn, f"{turn} lines") for turn in range(9)]) is None


def test_a_write_begins_the_count_anew() -> None:
    calls = [each for n in range(4) for each in (checks(2 * n), edit(f"T{n + 1}", 2 * n + 1))]
    assert judged(*calls) is None


def test_a_write_that_changes_nothing_does_not() -> None:
    calls = [edit("T1", turn, "same content") for turn in range(4)]
    verdict = judged(*calls)
    assert isinstance(verdict, Tripped)
    assert (verdict.rule, verdict.observed) == ("repeated_call", 3)


@pytest.mark.parametrize(
    ("times", "ends"), [(28, None), (29, Warned), (30, Tripped), (31, Tripped)]
)
def test_polling_is_free_up_to_its_cap(times, ends) -> None:
    verdict = judged(*[read("job", turn, polling=True) for turn in range(times)])
    assert (type(verdict) if verdict else None) is ends
    if ends is Tripped:
        assert verdict.which == "polling"


# Repeated error


@pytest.mark.parametrize(("times", "trips"), [(1, False), (2, True), (3, True)])
def test_the_same_failing_call_trips_at_two(times, trips) -> None:
    verdict = judged(*[fail("a", turn, f"error {turn}") for turn in range(times)])
    assert isinstance(verdict, Tripped) is trips
    if trips:
        assert (verdict.rule, verdict.which, verdict.observed) == ("repeated_error", "same_call", 2)


@pytest.mark.parametrize(("times", "ends"), [(1, None), (2, Warned), (3, Tripped), (4, Tripped)])
def test_one_class_of_error_trips_at_three_in_a_row(times, ends) -> None:
    limits = Thresholds(idle_turns=9)
    verdict = judged(*[fail(f"a{turn}", turn) for turn in range(times)], limits=limits)
    assert (type(verdict) if verdict else None) is ends
    if ends is Tripped:
        assert (verdict.rule, verdict.which) == ("repeated_error", "same_class")


def test_a_success_in_between_ends_the_row_of_errors() -> None:
    assert judged(fail("a", 0), fail("b", 1), read("c", 2), fail("d", 3), read("e", 4)) is None


def test_failures_of_one_answer_count_once() -> None:
    guessed = [fail(f"guess {n}", 0) for n in range(6)]
    assert judged(*guessed) is None
    assert isinstance(judged(*guessed, fail("more", 1)), Warned)


def test_a_call_that_failed_may_be_made_again_after_a_change() -> None:
    assert judged(fail("a", 0), edit("T1", 1), fail("a", 2)) is None


def test_what_broke_in_countersign_is_no_loop() -> None:
    broken = [read("a", n, "broken", failed=True, error=PLATFORM) for n in range(9)]
    assert judged(*broken) is None
    unrun = [read("checks", n, "not run", error=PLATFORM) for n in range(9)]
    assert judged(*unrun) is None
    assert judged(fail("a", 0), *broken, fail("b", 1), read("c", 2)) is None


# Oscillation


@pytest.mark.parametrize(("calls", "ends"), [(4, None), (5, Warned), (6, Tripped), (7, Tripped)])
def test_two_calls_in_turn_trip_at_six(calls, ends) -> None:
    """The files change each time, so that no other rule sees it: a line is added again and again."""
    made = [edit(f"T{n + 1}", n, "add a line") if n % 2 == 0 else checks(n) for n in range(calls)]
    verdict = judged(*made)
    assert (type(verdict) if verdict else None) is ends
    if ends is Tripped:
        assert (verdict.rule, verdict.which, verdict.observed) == ("oscillation", "alternation", 6)


@pytest.mark.parametrize(
    ("trees", "ends"),
    [
        ("1", None),
        ("10", Warned),
        ("101", Warned),
        ("1010", Tripped),
        ("10101", Tripped),
        ("12", None),
        ("1212", Warned),
        ("12121", Tripped),
    ],
)
def test_files_that_come_back_a_third_time_trip(trees, ends) -> None:
    verdict = judged(*[edit(f"T{tree}", n) for n, tree in enumerate(trees)])
    assert (type(verdict) if verdict else None) is ends
    if ends is Tripped:
        assert (verdict.rule, verdict.which, verdict.observed) == ("oscillation", "edit_revert", 3)


@pytest.mark.parametrize(
    "trees",
    [
        "1020304",  # a print for debugging, put in and taken out, each time another
        "123210",  # three edits undone one by one
        "1012",  # an edit undone to see whether it was to blame, and done again
        "1234321567",
    ],
)
def test_undoing_is_honest_work(trees) -> None:
    assert not isinstance(judged(*[edit(f"T{tree}", n) for n, tree in enumerate(trees)]), Tripped)


# No progress


@pytest.mark.parametrize(("turns", "ends"), [(1, None), (2, Warned), (3, Tripped), (4, Tripped)])
def test_turns_without_anything_new_warn_at_two_and_trip_after(turns, ends) -> None:
    known = [read(f"file {n}", 0) for n in range(turns)]
    again = [read(f"file {n}", n + 1) for n in range(turns)]
    verdict = before_turn(History.of([*known, *again], "T0"))
    assert (type(verdict) if verdict else None) is ends
    if verdict:
        assert verdict.rule == "no_progress"


def test_something_new_between_ends_the_count() -> None:
    first = [read(name, 0) for name in "abcd"]
    assert before_turn(History.of([*first, read("a", 1), read("e", 2), read("b", 3)])) is None


def test_writing_what_is_there_already_is_nothing_new() -> None:
    calls = [edit("T1", 0), edit("T1", 1), edit("T1", 2)]
    assert isinstance(before_turn(History.of(calls, "T0")), Warned)


def test_what_was_read_before_is_new_again_on_changed_files() -> None:
    known = [read(name, 0) for name in "abc"]
    again = [read(name, n + 2) for n, name in enumerate("abc")]
    assert before_turn(History.of([*known, edit("T1", 1), *again], "T0")) is None


# Honest work


def _story() -> list[Call]:
    """Play the rehearsal: checks, search and read, edits, checks and read again."""
    looked = [read("search", 1), read("invoice", 1)]
    again = [checks(3, "13 passed"), read("invoice", 3, "mended text")]
    return [checks(0), *looked, edit("T1", 2), edit("T2", 2), *again]


def _many_rounds() -> list[Call]:
    """Read, edit and check eight times; the checks fail alike until the end."""
    calls = []
    for n in range(8):
        calls += [read("module", 3 * n, f"version {n}"), edit(f"T{n + 1}", 3 * n + 1)]
        calls.append(checks(3 * n + 2))
    return calls


def _exploration() -> list[Call]:
    """Look about: one file after the other, some that are not there, some that hold nothing."""
    calls = [read("list", 0), *[read(f"file {n}", 1) for n in range(12)]]
    calls += [read(f"word {n}", 2 + n, "no lines in 12 files searched") for n in range(5)]
    return [*calls, fail("guess", 8), read("file 13", 9), fail("other guess", 10), read("f 14", 11)]


def _misses() -> list[Call]:
    """Edit by a text that is not there, read, and edit again; twice."""
    return [
        fail("edit old", 0, "`old` is not in …"),
        read("module", 1),
        edit("T1", 2),
        fail("edit other", 3, "`old` is not in …"),
        read("module", 4, "version 1"),
        edit("T2", 5),
        checks(6, "13 passed"),
        read("module", 6, "version 2"),
    ]


def _looks_again() -> list[Call]:
    """After an edit: the checks, and what was read before, once more."""
    known = [read("a", 0), read("b", 0), checks(1)]
    return [*known, edit("T1", 2), checks(3), read("a", 4), read("b", 5), edit("T2", 6), checks(7)]


@pytest.mark.parametrize("work", [_story, _many_rounds, _exploration, _misses, _looks_again])
def test_honest_work_is_not_stopped(work) -> None:
    calls = work()
    for length in range(len(calls) + 1):
        assert not isinstance(judged(*calls[:length]), Tripped)


# What is the same


def test_the_checks_that_took_longer_gave_the_same_result() -> None:
    one = '{"failed": 1, "seconds": 0.21, "output_tail": "Ran 3 tests in 0.002s"}'
    assert of_result(one) == of_result(one.replace("0.21", "12.5").replace("0.002s", "0.9s"))
    assert of_result(one) != of_result(one.replace('"failed": 1', '"failed": 2'))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("There is no file a/b.py. Did you mean c.py?", "There is no file z.md. Use list_files."),
        ("`old` occurs 2 times in a.py (lines 1, 9)", "`old` occurs 5 times in b.py (lines 3, 4)"),
        ("Error executing tool read_file: x.py has only 3 lines.", "y.py has only 12 lines."),
        ("You may not change docs/a.md: limited to b", "You may not change docs/c.md: refused"),
    ],
)
def test_errors_of_one_kind_have_one_class(one, other) -> None:
    assert of_error(one) == of_error(other)
    assert of_error(one) != of_error("The disk is full.")
