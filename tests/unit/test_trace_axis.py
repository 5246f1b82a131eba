"""The axis of a trace: no tick says a time of a pause that is cut short, and pauses name their length."""

from __future__ import annotations

from itertools import pairwise

import pytest

from countersign.console.trace.axis import axis_of

# A rehearsal that waited for a signature: 7.9 s of work, a pause of 294 s, 2.1 s of work.
REPORTED = [(0.0, 7.9), (301.9, 304.0)]


def test_no_tick_lies_in_a_pause_or_under_its_words():
    axis = axis_of(REPORTED)
    (pause,) = axis.breaks
    assert pause.left < 77 < pause.left + pause.width
    assert pause.seconds == pytest.approx(294)
    assert [place for place, _ in axis.ticks] == [0, 25, 50]
    assert all(seconds < 7.9 for _, seconds in axis.ticks)


def test_each_tick_says_a_time_at_which_something_ran():
    for share in range(1, 100):
        worked = [(0.0, share / 10), (share / 10 + 300, 310.0)]
        for place, seconds in axis_of(worked).ticks:
            assert any(start <= seconds <= end for start, end in worked), (share, place)


def test_a_late_pause_is_named_before_it_and_an_early_one_behind_it():
    late = axis_of([(0, 95), (1_000, 1_005)]).breaks[0]
    early = axis_of([(0, 5), (1_000, 1_095)]).breaks[0]
    assert (late.late, late.words) == (True, late.left)
    assert (early.late, early.words) == (False, early.left + early.width)


def test_words_of_pauses_never_lie_on_each_other():
    worked = [(start, start + 10.0) for start in (0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000)]
    spans = [each.taken for each in axis_of(worked).breaks]
    assert len(spans) == 6
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_without_pauses_all_ticks_stand():
    assert axis_of([(0, 100)]).ticks == [(0, 0), (25, 25), (50, 50), (75, 75)]
