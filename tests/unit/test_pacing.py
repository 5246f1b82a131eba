"""How quickly somebody decides, told from when they decided."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from approvals.pacing import IN_A_ROW, LATEST, QUICK, pace_of

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def decided(*gaps: float) -> list[tuple[float, bool, str | None]]:
    """Return a first approval at noon and one so many seconds after the one before, each."""
    return [(NOON.timestamp() + sum(gaps[:count]), True, None) for count in range(len(gaps) + 1)]


def together(found, act="7"):
    """Return the same, approved by one act."""
    return [(at, approved, act) for at, approved, _ in found]


def test_of_too_few_decisions_nothing_is_said():
    assert pace_of([]).middle is None
    assert pace_of(decided(60, 90)).middle is None


def test_half_of_the_decisions_came_within_the_middle():
    pace = pace_of(decided(60, 220, 3_600))
    assert pace.middle == timedelta(seconds=220)
    assert not pace.hurried


@pytest.mark.parametrize(("more", "hurried"), [(-1, False), (0, True), (1, True)])
def test_so_many_quick_approvals_in_a_row_are_hurried(more, hurried):
    pace = pace_of(decided(300, *[9] * (IN_A_ROW + more)))
    assert (pace.quick, pace.hurried) == (IN_A_ROW + more, hurried)


def test_a_slower_one_ends_the_row():
    pace = pace_of(decided(*[9] * 20, QUICK))
    assert (pace.quick, pace.hurried) == (0, False)


def test_a_decision_that_is_no_approval_ends_the_row():
    found = decided(*[9] * 20)
    found[-3] = (found[-3][0], False, None)
    assert pace_of(found).quick == 2


def test_what_was_approved_together_was_one_act_however_long_it_took():
    assert pace_of(decided(300, *[0.05] * 19)).quick == 0
    alone, *act = decided(300, *[1.5] * 19)
    assert pace_of([alone, *together(act)]).quick == 0
    alone, *act = decided(5, *[1.5] * 19)
    assert pace_of([alone, *together(act)]).quick == 1


def test_each_act_counts_once_whatever_else_was_decided_meanwhile():
    one, two = together(decided(4, 4), "7"), together(decided(4, 4), "8")
    later = [(at + 14, approved, act) for at, approved, act in two]
    assert pace_of([*one, *later]).quick == 1
    between = (one[1][0] + 1.2, True, None)
    assert pace_of([*one, between]).quick == 1


def test_the_first_of_a_day_came_after_none():
    assert pace_of(decided()).quick == 0


def test_what_a_person_was_told_of_is_told_once():
    found = decided(*[9] * 12)
    told_at = datetime.fromtimestamp(found[-1][0], UTC)
    assert pace_of(found, told_at=told_at).quick == 0
    later = [*found, *((found[-1][0] + 9 * n, True, None) for n in range(1, IN_A_ROW + 1))]
    assert pace_of(later, told_at=told_at).hurried


def test_no_more_than_the_latest_are_looked_at():
    pace = pace_of(decided(*[100] * LATEST, *[200] * (LATEST - 1)))
    assert pace.middle == timedelta(seconds=200)


def test_the_order_in_which_they_were_read_does_not_matter():
    found = decided(60, 220, 3_600)
    assert pace_of(reversed(found)) == pace_of(found)
