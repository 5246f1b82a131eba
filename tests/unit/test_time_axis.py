"""The bars of a run share one axis, and hours without work do not crush them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from countersign.console.axis import Axis

START = datetime(2026, 11, 28, 10, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_bars_lie_as_the_work_did():
    axis = Axis.of([at(0)], [(at(0), at(40)), (at(40), at(100))])
    assert axis.place(at(0), at(40)) == (0.0, 40.0)
    assert axis.place(at(40), at(100)) == (40.0, 60.0)


def test_a_night_of_waiting_takes_little_of_the_axis():
    night = 9 * 3600
    axis = Axis.of([at(0), at(100 + night)], [(at(0), at(100))])
    left, width = axis.place(at(0), at(100))
    assert left == 0
    assert width > 95
    assert axis.place(at(100 + night), at(100 + night))[0] == 99.0


def test_work_side_by_side_keeps_its_length():
    axis = Axis.of([], [(at(0), at(50)), (at(25), at(100))])
    assert axis.place(at(25), at(100)) == (25.0, 75.0)


def test_a_moment_alone_has_a_place():
    axis = Axis.of([at(0)], [])
    assert axis.place(at(0), at(0)) == (0.0, 1.0)


def test_a_task_without_anything_has_an_axis():
    assert Axis.of([], []).place(at(0), at(5)) == (0.0, 1.0)
