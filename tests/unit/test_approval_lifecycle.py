"""The arrows of approvals and effects, all pairs."""

from __future__ import annotations

import itertools

import pytest

from approvals.lifecycle import APPROVAL_MOVES, EFFECT_MOVES, ApprovalState, EffectState
from approvals.models import Approval, Effect
from projects.exceptions import TransitionRefused


def test_every_state_has_its_arrows():
    assert set(APPROVAL_MOVES) == set(ApprovalState.values)
    assert set(EFFECT_MOVES) == set(EffectState.values)


def test_every_target_is_a_state():
    for moves, states in ((APPROVAL_MOVES, ApprovalState), (EFFECT_MOVES, EffectState)):
        assert set().union(*moves.values()) <= set(states.values)


@pytest.mark.parametrize(
    ("model", "old", "new"),
    [
        (model, old, new)
        for model, moves, states in (
            (Approval, APPROVAL_MOVES, ApprovalState.values),
            (Effect, EFFECT_MOVES, EffectState.values),
        )
        for old, new in itertools.product(states, states)
        if new not in moves[old]
    ],
)
def test_an_arrow_that_is_not_drawn_is_refused_before_the_database_is_asked(model, old, new):
    with pytest.raises(TransitionRefused, match="cannot become"):
        model(state=old).move(new)


def test_nothing_ended_begins_again_and_nothing_done_is_undone():
    for state in (ApprovalState.REJECTED, ApprovalState.STALE, ApprovalState.EXPIRED):
        assert not APPROVAL_MOVES[state]
    assert not EFFECT_MOVES[EffectState.DONE]
    assert not EFFECT_MOVES[EffectState.WITHDRAWN]


def test_an_effect_is_withdrawn_while_planned_or_begun_and_not_sent():
    sources = {old for old, targets in EFFECT_MOVES.items() if EffectState.WITHDRAWN in targets}
    assert sources == {EffectState.PLANNED, EffectState.DOING}
