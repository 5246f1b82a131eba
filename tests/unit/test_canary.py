"""When a worker loses its patience with its own consumer."""

from __future__ import annotations

from agents.canary import PATIENCE, Patience


def lost(patience: Patience, turns: int) -> list[bool]:
    """Let so many canaries be taken by the broker and not come back."""
    ends = []
    for _ in range(turns):
        patience.sent(taken=True)
        ends.append(patience.turn())
    return ends


def test_patience_ends_at_the_last_of_the_canaries_lost_in_a_row():
    assert lost(Patience(), PATIENCE) == [False] * (PATIENCE - 1) + [True]


def test_one_that_comes_back_forgives_those_before():
    patience = Patience()
    lost(patience, PATIENCE - 1)
    patience.heard()
    assert not patience.turn()
    assert lost(patience, PATIENCE - 1) == [False] * (PATIENCE - 1)


def test_a_broker_that_is_away_is_no_fault_of_the_consumer():
    patience = Patience()
    for _ in range(10 * PATIENCE):
        patience.sent(taken=False)
        assert not patience.turn()
    assert lost(patience, PATIENCE - 1) == [False] * (PATIENCE - 1)


def test_nothing_is_missed_before_the_first_was_sent():
    patience = Patience()
    assert not any(patience.turn() for _ in range(2 * PATIENCE))
