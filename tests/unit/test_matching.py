"""What two lists of lines have in common is found at a cost that is bounded, whatever the lines are."""

from __future__ import annotations

import random
import time

import pytest

from approvals.matching import Allowance


def test_what_both_have_is_found_in_order():
    assert Allowance().shared("abcdefg", "abXdeYg") == [(0, 0, 2), (3, 3, 2), (6, 6, 1)]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("xy" * 1_000, "yxx" * 60),
        ("xy" * 30_000, "yxx" * 60),
        (range(20_000), [line for line in range(20_000) if line % 3]),
    ],
)
def test_a_page_of_hostile_hunks_costs_no_more_than_its_allowance(before, now):
    allowance, began = Allowance(), time.process_time()
    for _ in range(20):
        allowance.shared(before, now)
    assert allowance.steps >= 0
    assert time.process_time() - began < 2  # without a bound one of them takes that long


@pytest.mark.parametrize("steps", [0, 10, 100, 1_000, 100_000])
def test_past_the_allowance_runs_are_fewer_and_true(steps):
    chance = random.Random(steps)  # noqa: S311  reproducible, not secret
    before, now = ("".join(chance.choices("abc", k=150)) for _ in range(2))
    left = right = 0
    for one, other, count in Allowance(steps).shared(before, now):
        assert before[one : one + count] == now[other : other + count]
        assert (one, other) >= (left, right)
        assert one >= left
        assert other >= right
        left, right = one + count, other + count


def test_both_ends_are_found_past_the_allowance():
    allowance = Allowance(0)
    assert allowance.shared("ab12yz", "ab21yz") == [(0, 0, 2), (4, 4, 2)]
