"""When agents only pass a question back and forth, and when steps wait for each other."""

from __future__ import annotations

import random

import pytest

from agents.delegation_limits import SIMILAR, Ask, cycle, fingerprint, ping_pong, similarity

ROUNDING = "Find out how refunds are rounded."


def ask(asker: str, asked: str, goal: str = ROUNDING, tree: str = "t1") -> Ask:
    return Ask(asker=asker, asked=asked, goal=goal, tree=tree)


@pytest.mark.parametrize(
    "same", ["find out how refunds are ROUNDED", "  Find out, how refunds are\nrounded!! "]
)
def test_case_spacing_and_punctuation_make_no_other_goal(same):
    assert fingerprint(same) == fingerprint(ROUNDING)
    assert similarity(same, ROUNDING) == 1


@pytest.mark.parametrize(
    ("goal", "alike"),
    [
        ("Learn what the rounding of refunds is.", True),
        ("Know how a refund rounds", True),
        ("Find out how invoices are taxed.", False),
        ("Find out how refunds are tested.", False),
        ("Why?", False),
        ("", False),
    ],
)
def test_goals_are_alike_by_what_they_are_about(goal, alike):
    assert (similarity(goal, ROUNDING) >= SIMILAR) is alike


def test_goals_that_say_nothing_are_alike_only_when_equal():
    assert similarity("What is it?", "what is IT") == 1
    assert similarity("What is it?", "Why is it?") == 0


def test_first_question_is_no_ping_pong():
    assert ping_pong(ask("coder", "tester"), []) is None


def test_same_pair_and_goal_is_ping_pong_whatever_changed():
    first = ask("coder", "tester")
    assert ping_pong(ask("coder", "tester", tree="t2"), [first]) is first
    assert ping_pong(ask("coder", "tester", "Find out how invoices are taxed."), [first]) is None
    assert ping_pong(ask("coder", "tech-writer"), [first]) is None


def test_question_thrown_back_is_ping_pong_unless_a_file_changed():
    first = ask("coder", "tester")
    back = "Know the rounding of refunds"
    assert ping_pong(ask("tester", "coder", back), [first]) is first
    assert ping_pong(ask("tester", "coder", back, tree="t2"), [first]) is None
    assert ping_pong(ask("tester", "coder", "Learn who calls invoice_total"), [first]) is None


def test_newest_of_several_is_the_one_repeated():
    old, new = ask("coder", "tester"), ask("coder", "tester", ROUNDING.upper())
    assert ping_pong(ask("coder", "tester"), [old, new]) is new


@pytest.mark.parametrize(
    ("edges", "found"),
    [
        ({}, set()),
        ({"a": {"b"}, "b": {"c"}}, set()),
        ({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}}, set()),
        ({"a": {"b"}, "b": {"a"}}, {"a", "b"}),
        ({"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": {"b"}}, {"b", "c", "d"}),
        ({"x": {"y"}, "a": {"b"}, "b": {"c"}, "c": {"a"}}, {"a", "b", "c"}),
    ],
)
def test_circle_of_waiting_steps_is_found(edges, found):
    assert set(cycle(edges)) == found


def test_circles_in_random_graphs_are_real_and_none_is_missed():
    dice = random.Random(7)  # noqa: S311  # shapes of graphs, no secret
    for _ in range(300):
        nodes = range(dice.randint(2, 9))
        edges = {a: {b for b in nodes if b != a and dice.random() < 0.2} for a in nodes}
        ring = cycle(edges)
        for one, following in zip(ring, [*ring[1:], *ring[:1]], strict=True):
            assert following in edges[one]
        assert bool(ring) is not _can_be_ordered(edges)


def _can_be_ordered(edges: dict[int, set[int]]) -> bool:
    left = dict(edges)
    while free := [node for node, needs in left.items() if not needs & left.keys()]:
        for node in free:
            del left[node]
    return not left
