"""Every failpoint has a case in the chaos matrix, and every case a story that can reach it."""

from __future__ import annotations

import pytest

from projects.failpoints import POINTS
from tests.chaos import report
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


def test_a_run_writes_the_rows_of_what_it_played_and_leaves_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "DOCUMENT", tmp_path / "matrix.md")
    first, *others = POINTS
    outcomes = {(point, mode): "holds" for point in POINTS for mode in MODES}
    whole = report.Figures(seed=1, points=outcomes, faults={"none": report.Case(runs=3, tasks=60)})
    report.write(whole, 3)
    report.write(report.Figures(seed=2, points={(first, "kill"): "violated"}), 3)
    lines = report.DOCUMENT.read_text().splitlines()
    rows = {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}
    assert "| violated | not run | not run |" in rows[f"`{first}`"]
    assert rows[f"`{first}`"].endswith(", 2 |")
    assert all(rows[f"`{point}`"].endswith(", 1 |") for point in others)
    assert "| 3 | 60 | 0 | 0 | 0 |" in rows["none"]
    assert rows["none"].endswith(", 1 |")
    assert rows["web killed"].endswith("| 0 | 0 | 0 | 0 | 0 |  |")
