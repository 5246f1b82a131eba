"""Every failpoint has a case in the chaos matrix, and every case a story that can reach it."""

from __future__ import annotations

import pytest

from projects.failpoints import POINTS
from tests.chaos.matrix import CASES, FIRST, MODES, TOUR, batches, stories_for


def test_every_point_has_a_case_and_every_case_a_point():
    assert set(CASES) == set(POINTS)
    assert set(FIRST) <= set(POINTS)
    assert set(MODES) == {"kill", "raise", "stall"}


@pytest.mark.parametrize("point", POINTS)
def test_stories_that_reach_a_point_are_told(point):
    assert CASES[point]
    assert set(CASES[point]) <= set(TOUR)


def test_batches_hold_every_point_once_and_play_a_story_for_each():
    dealt = batches(list(POINTS), 4)
    assert sorted(point for batch in dealt for point in batch) == sorted(POINTS)
    for batch in dealt:
        told = set(stories_for(batch))
        assert all(told & set(CASES[point]) for point in batch)
