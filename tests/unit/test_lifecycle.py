"""The state machines of tasks, steps, attempts and escalations, pair by pair."""

from __future__ import annotations

import itertools

import pytest

from agents.lifecycle import (
    ATTEMPT_MOVES,
    ESCALATION_MOVES,
    STEP_MOVES,
    STEP_SETTLED,
    TASK_MOVES,
    TASK_OPEN,
    TASK_TERMINAL,
    AttemptState,
    EscalationState,
    StepState,
    TaskState,
)

MACHINES = [
    (TaskState, TASK_MOVES),
    (StepState, STEP_MOVES),
    (AttemptState, ATTEMPT_MOVES),
    (EscalationState, ESCALATION_MOVES),
]
TASK_ARROWS = {
    "queued": "planning cancelled needs_human failed",
    "planning": "working cancelled needs_human failed",
    "working": "assembling cancelled needs_human failed",
    "assembling": "review working cancelled needs_human failed",
    "review": "executing working rejected cancelled needs_human failed",
    "executing": "done review cancelled needs_human failed",
    "needs_human": "queued planning working assembling review executing cancelled failed",
    "done": "",
    "rejected": "",
    "cancelled": "",
    "failed": "",
}
STEP_ARROWS = {
    "waiting": "ready cancelled",
    "ready": "leased cancelled",
    "leased": "done blocked failed cancelled waiting_human ready waiting",
    "waiting_human": "ready waiting done cancelled",
    "blocked": "ready done cancelled",
    "failed": "ready done cancelled",
    "done": "",
    "cancelled": "",
}


@pytest.mark.parametrize(("states", "moves"), MACHINES)
def test_every_state_has_its_row_and_knows_only_states(states, moves):
    assert set(moves) == set(states.values)
    assert set().union(*moves.values()) <= set(states.values)


@pytest.mark.parametrize(("old", "new"), list(itertools.product(TaskState.values, repeat=2)))
def test_task_arrow(old, new):
    assert (new in TASK_MOVES[old]) == (new in TASK_ARROWS[old].split())


@pytest.mark.parametrize(("old", "new"), list(itertools.product(StepState.values, repeat=2)))
def test_step_arrow(old, new):
    assert (new in STEP_MOVES[old]) == (new in STEP_ARROWS[old].split())


def test_attempt_ends_once():
    for old, new in itertools.product(AttemptState.values, repeat=2):
        assert (new in ATTEMPT_MOVES[old]) == (old == "running" != new)


@pytest.mark.parametrize(("states", "moves"), MACHINES)
def test_no_state_leads_to_itself(states, moves):
    assert not [state for state in states.values if state in moves[state]]


def test_open_task_can_always_be_stopped_and_reach_every_end():
    assert all("cancelled" in TASK_MOVES[state] for state in TASK_OPEN)
    assert {"done", "rejected", "cancelled", "failed"} == TASK_TERMINAL
    assert _reachable("queued") == set(TaskState.values)


def test_settled_step_moves_only_when_a_person_asks():
    for state in STEP_SETTLED:
        assert STEP_MOVES[state] <= {"ready", "done", "cancelled"}


def _reachable(start: str) -> set[str]:
    seen, rest = set(), [start]
    while rest:
        state = rest.pop()
        if state not in seen:
            seen.add(state)
            rest.extend(TASK_MOVES[state])
    return seen
