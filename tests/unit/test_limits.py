"""Each limit below, at and above its value; the clock that stands still while people think."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agents.limits import Limits, attempt_trip, task_trip, warns
from projects.exceptions import InvalidInput


@pytest.mark.parametrize(
    ("used", "rule", "name"),
    [
        ({"seconds": 2_699.9}, None, None),
        ({"seconds": 2_700}, "wall_clock", "seconds"),
        ({"seconds": 2_701}, "wall_clock", "seconds"),
        ({"tokens": 599_999}, None, None),
        ({"tokens": 600_000}, "budget", "tokens"),
        ({"tokens": 600_001}, "budget", "tokens"),
        ({"usd": Decimal("4.99")}, None, None),
        ({"usd": Decimal("5.00")}, "budget", "usd"),
        ({"usd": Decimal("5.01")}, "budget", "usd"),
    ],
)
def test_task_limit(used, rule, name):
    trip = task_trip(Limits(), **{"tokens": 0, "usd": Decimal(0), "seconds": 0, **used})
    assert (trip and trip.rule, trip and trip.name) == (rule, name)


@pytest.mark.parametrize(
    ("turns", "tokens", "rule"),
    [
        (4, 0, None),
        (5, 0, "max_turns"),
        (6, 0, "max_turns"),
        (0, 99, None),
        (0, 100, "budget"),
        (0, 101, "budget"),
    ],
)
def test_attempt_limit(turns, tokens, rule):
    trip = attempt_trip(turns=turns, max_turns=5, tokens=tokens, max_tokens=100)
    assert (trip and trip.rule) == rule


def test_trip_says_how_much_of_what():
    trip = task_trip(Limits(usd=1.5), tokens=0, usd=Decimal("1.75"), seconds=0)
    assert trip.detail == "1.75 of 1.5 USD used"


@pytest.mark.parametrize(("used", "warned"), [(79, False), (80, True), (81, True)])
def test_warning_comes_at_eighty_percent(used, warned):
    assert warns(used=used, limit=100) is warned


def test_later_layers_win():
    assert Limits.of({"rounds": 2, "usd": 1}, {"usd": 2}) == Limits(rounds=2, usd=2.0)


@pytest.mark.parametrize("bad", [0, -1, True, "9", None, float("nan"), float("inf"), 10**12])
def test_bad_limit_is_refused_by_name(bad):
    with pytest.raises(InvalidInput, match="tokens") as refusal:
        Limits.of({"tokens": bad})
    assert refusal.value.field == "limits"


def test_unknown_limit_is_refused_with_those_there_are():
    with pytest.raises(InvalidInput, match="seconds, tokens, usd, rounds, steps"):
        Limits.of({"turns": 3})


def test_frozen_form_can_be_read_back():
    limits = Limits(seconds=1, usd=0.5)
    assert Limits.of(limits.as_json()) == limits
    assert Limits.frozen(limits.as_json()) == limits


def test_it_is_known_whether_somebody_set_the_money():
    assert "usd_set" not in Limits.of({"rounds": 2}).as_json()
    for layers in (({"usd": 5.0},), ({"usd": 1}, {"rounds": 2}), ({}, {"usd": 2})):
        assert Limits.frozen(Limits.of(*layers).as_json()).usd_set


def test_whether_money_was_set_cannot_be_submitted():
    with pytest.raises(InvalidInput, match="no limit 'usd_set'"):
        Limits.of({"usd_set": True})


def test_limit_that_a_person_raised_above_the_most_is_still_read():
    assert Limits.frozen({**Limits().as_json(), "rounds": 21}).rounds == 21


def test_limits_above_a_ceiling_are_named():
    assert Limits(usd=5.0, rounds=3, tokens=1).above(Limits()) == []
    assert Limits(usd=5.01, rounds=4).above(Limits()) == ["usd", "rounds"]
