"""Quiet hours go by the wall clock of the person, also on the days it is changed."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from notices.models import Hours
from notices.quiet import end_of, first_try


def hours(begins: str, ends: str, zone: str = "Europe/Berlin", *, unless_due: bool = False):
    return Hours(
        begins=time.fromisoformat(begins),
        ends=time.fromisoformat(ends),
        zone=zone,
        unless_due=unless_due,
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("quiet", "now", "end"),
    [
        # Over midnight, in winter: Berlin is one hour ahead.
        (("22:00", "07:00"), "2026-01-10 20:59", None),
        (("22:00", "07:00"), "2026-01-10 21:00", "2026-01-11 06:00"),
        (("22:00", "07:00"), "2026-01-11 00:30", "2026-01-11 06:00"),
        (("22:00", "07:00"), "2026-01-11 05:59", "2026-01-11 06:00"),
        (("22:00", "07:00"), "2026-01-11 06:00", None),
        # Within one day.
        (("12:00", "13:30"), "2026-07-01 10:15", "2026-07-01 11:30"),
        (("12:00", "13:30"), "2026-07-01 11:30", None),
        # The night of 29 March has no hour from 2 to 3: it is over an hour sooner.
        (("22:00", "07:00"), "2026-03-28 21:00", "2026-03-29 05:00"),
        (("22:00", "02:30"), "2026-03-28 22:00", "2026-03-29 01:30"),
        (("02:30", "04:00"), "2026-03-29 00:59", None),
        (("02:30", "04:00"), "2026-03-29 01:00", "2026-03-29 02:00"),
        # The night of 25 October has it twice: the first 02:30 ends them, the second pass too.
        (("22:00", "07:00"), "2026-10-24 20:00", "2026-10-25 06:00"),
        (("22:00", "02:30"), "2026-10-24 22:00", "2026-10-25 00:30"),
        (("22:00", "02:30"), "2026-10-25 00:45", None),
        (("22:00", "02:30"), "2026-10-25 01:15", "2026-10-25 01:30"),
        (("22:00", "02:30"), "2026-10-25 01:30", None),
    ],
)
def test_when_quiet_hours_end(quiet, now, end):
    found = end_of(hours(*quiet), at(now))
    assert (found and found.astimezone(UTC)) == (end and at(end))


def test_a_zone_with_a_half_hour_counts_by_its_own_clock():
    found = end_of(hours("22:00", "07:00", "Asia/Kolkata"), at("2026-05-01 17:00"))
    assert found
    assert found.astimezone(UTC) == at("2026-05-02 01:30")


@pytest.mark.parametrize("day", range(1, 366))
def test_an_end_is_always_ahead_and_never_within_them(day):
    quiet = hours("23:15", "02:45", "America/New_York")
    for hour in range(24):
        now = datetime.fromtimestamp(1_767_225_600 + (day * 24 + hour) * 3_600, tz=UTC)
        if found := end_of(quiet, now):
            assert found.timestamp() > now.timestamp()
            assert found.timestamp() - now.timestamp() <= 5 * 3_600
            assert first_try(quiet, found) == found


def test_without_them_it_is_sent_at_once():
    now = at("2026-01-10 23:00")
    assert end_of(None, now) is None
    assert first_try(None, now) == now


def test_what_is_due_before_they_end_breaks_through_only_for_who_said_so():
    now, soon, late = (at(f"2026-01-{day}") for day in ("10 23:00", "11 05:00", "11 09:00"))
    end = at("2026-01-11 06:00")
    strict, lenient = hours("22:00", "07:00"), hours("22:00", "07:00", unless_due=True)
    assert first_try(strict, now, due=soon) == end
    assert first_try(lenient, now, due=soon) == now
    assert first_try(lenient, now, due=late) == end
    assert first_try(lenient, now) == end


@pytest.mark.parametrize("zone", ["Mars/Olympus", "Europe", "../etc/passwd", "/etc/passwd", ""])
def test_a_zone_this_machine_does_not_know_has_no_quiet_hours(zone):
    assert end_of(hours("00:00", "23:59", zone), at("2026-01-10 12:00")) is None
