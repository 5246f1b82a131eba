"""The states of tasks, steps, tool calls and escalations, and every legal move.

This module is the documentation of the machine; the README's diagram is drawn from it.
"""

from __future__ import annotations

from django.db import models


class TaskState(models.TextChoices):
    """Where a task stands."""

    QUEUED = "queued", "Queued"  # accepted; the router has not begun
    PLANNING = "planning", "Planning"  # the router is splitting the request
    WORKING = "working", "Working"  # specialists are at their steps
    ASSEMBLING = "assembling", "Assembling"  # the aggregator makes one proposal
    REVIEW = "review", "Waits for sign-off"  # a proposal waits for a human decision
    EXECUTING = "executing", "Carrying out"  # approved; the effects are being done
    # a limit tripped and an escalation is open, or an agent asks to use a tool
    NEEDS_HUMAN = "needs_human", "Needs a person"
    DONE = "done", "Done"
    REJECTED = "rejected", "Rejected"
    CANCELLED = "cancelled", "Stopped"
    FAILED = "failed", "Failed"


_S = TaskState
_STOPS = {_S.CANCELLED, _S.NEEDS_HUMAN, _S.FAILED}
TASK_MOVES: dict[str, frozenset[str]] = {
    _S.QUEUED: frozenset({_S.PLANNING, *_STOPS}),
    _S.PLANNING: frozenset({_S.WORKING, *_STOPS}),
    _S.WORKING: frozenset({_S.ASSEMBLING, *_STOPS}),
    # working: one branch was opened again while the aggregator had begun
    _S.ASSEMBLING: frozenset({_S.REVIEW, _S.WORKING, *_STOPS}),
    # working: changes requested (next round) or proposed anew on a moved main
    _S.REVIEW: frozenset({_S.EXECUTING, _S.WORKING, _S.REJECTED, *_STOPS}),
    # review: undone inside the window, or main moved before the merge
    _S.EXECUTING: frozenset({_S.DONE, _S.REVIEW, *_STOPS}),
    # back to where it was when the limit tripped
    _S.NEEDS_HUMAN: frozenset(
        {
            _S.QUEUED,
            _S.PLANNING,
            _S.WORKING,
            _S.ASSEMBLING,
            _S.REVIEW,
            _S.EXECUTING,
            _S.CANCELLED,
            _S.FAILED,
        }
    ),
    _S.DONE: frozenset(),
    _S.REJECTED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.FAILED: frozenset(),
}
TASK_TERMINAL = frozenset(state for state, targets in TASK_MOVES.items() if not targets)
TASK_OPEN = frozenset(TASK_MOVES) - TASK_TERMINAL


class StepState(models.TextChoices):
    """Where a step stands."""

    WAITING = "waiting", "Waiting"  # for the steps it depends on
    READY = "ready", "Ready"  # any worker may claim it from `available_at` on
    LEASED = "leased", "Running"  # one attempt holds it until `lease_until`
    # an escalation is open, or calls of tools wait outside
    WAITING_HUMAN = "waiting_human", "Needs a person"
    DONE = "done", "Done"
    BLOCKED = "blocked", "Blocked"  # the agent says it cannot go on, and why
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Stopped"


_P = StepState
STEP_MOVES: dict[str, frozenset[str]] = {
    _P.WAITING: frozenset({_P.READY, _P.CANCELLED}),
    _P.READY: frozenset({_P.LEASED, _P.CANCELLED}),
    # waiting: it asked another agent and goes on with the answer
    _P.LEASED: frozenset(
        {_P.DONE, _P.BLOCKED, _P.FAILED, _P.CANCELLED, _P.WAITING_HUMAN, _P.READY, _P.WAITING}
    ),
    # waiting: its calls are answered, and the agent it asked is not done
    # done: a person took it over; cancelled: or goes on without it
    _P.WAITING_HUMAN: frozenset({_P.READY, _P.WAITING, _P.DONE, _P.CANCELLED}),
    # ready: a person sent it again
    _P.BLOCKED: frozenset({_P.READY, _P.DONE, _P.CANCELLED}),
    _P.FAILED: frozenset({_P.READY, _P.DONE, _P.CANCELLED}),
    _P.DONE: frozenset(),
    _P.CANCELLED: frozenset(),
}
STEP_SETTLED = frozenset({_P.DONE, _P.BLOCKED, _P.FAILED, _P.CANCELLED})


class StepKind(models.TextChoices):
    """Which part of the pipeline a step is."""

    ROUTE = "route", "Route"
    WORK = "work", "Work"
    ANSWER = "answer", "Answer"  # one agent's question to another
    ASSEMBLE = "assemble", "Assemble"


class AttemptState(models.TextChoices):
    """How one try of a step stands or ended."""

    RUNNING = "running", "Running"
    FINISHED = "finished", "Finished"  # gave a validated result
    ESCALATED = "escalated", "Escalated"  # a limit tripped
    RELEASED = "released", "Released"  # given back: drain, hold, retry later
    ASKING = "asking", "Waits for an answer"  # the next attempt goes on with it
    LOST = "lost", "Lost"  # its worker died or lost the lease
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Stopped"


ATTEMPT_MOVES: dict[str, frozenset[str]] = {
    state: frozenset(set(AttemptState) - {AttemptState.RUNNING})
    if state == AttemptState.RUNNING
    else frozenset()
    for state in AttemptState
}


class ToolCallState(models.TextChoices):
    """What is known of one tool call."""

    STARTED = "started", "Started"
    WAITING = "waiting", "Waiting"  # a call to the outside: not this worker makes it
    ASKED = "asked", "Needs permission"  # as before, and a person decides whether
    DONE = "done", "Done"
    FAILED = "failed", "Failed"  # the tool said no; the model was told
    REFUSED = "refused", "Refused"  # the guard or a person said no
    UNKNOWN = "unknown", "Unknown"  # whoever made it died inside it


# Calls of tools outside that have no answer yet.
CALL_OPEN = (ToolCallState.WAITING, ToolCallState.ASKED)


class EscalationState(models.TextChoices):
    """Whether a person has answered."""

    OPEN = "open", "Open"
    RESOLVED = "resolved", "Resolved"


class DelegationState(models.TextChoices):
    """Whether one agent's question to another has its answer."""

    ASKED = "asked", "Asked"
    ANSWERED = "answered", "Answered"
    REFUSED = "refused", "Refused"  # the other agent is blocked, or a person went on without it
    CANCELLED = "cancelled", "Stopped"


DELEGATION_MOVES: dict[str, frozenset[str]] = {
    DelegationState.ASKED: frozenset(set(DelegationState) - {DelegationState.ASKED}),
    DelegationState.ANSWERED: frozenset(),
    DelegationState.REFUSED: frozenset(),
    DelegationState.CANCELLED: frozenset(),
}


class BreakerState(models.TextChoices):
    """Whether calls to a model provider are let through."""

    CLOSED = "closed", "Closed"
    OPEN = "open", "Open"  # none until `open_until`
    HALF_OPEN = "half_open", "Half open"  # one, to see


ESCALATION_MOVES: dict[str, frozenset[str]] = {
    EscalationState.OPEN: frozenset({EscalationState.RESOLVED}),
    EscalationState.RESOLVED: frozenset(),
}


class Verdict(models.TextChoices):
    """What our own check says of an agent's claim."""

    PROVEN = "proven", "Proven"
    CONTRADICTED = "contradicted", "Contradicted"
    NOT_CHECKABLE = "not_checkable", "Not checkable"
