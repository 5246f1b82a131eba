"""How a state looks: always a word, an icon and a tone together, never colour alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.lifecycle import StepKind, StepState, TaskState
from approvals.lifecycle import ApprovalState, EffectState

if TYPE_CHECKING:
    from agents.models import Step, Task
    from approvals.models import Approval, Edit


@dataclass(frozen=True, kw_only=True)
class Look:
    """A state as people see it."""

    word: str
    icon: str
    tone: str
    spins: bool = False


_TASK = {
    TaskState.QUEUED: Look(word="Queued", icon="circle-dashed", tone="muted"),
    TaskState.PLANNING: Look(word="Planning", icon="loader", tone="run", spins=True),
    TaskState.WORKING: Look(word="Running", icon="loader", tone="run", spins=True),
    TaskState.ASSEMBLING: Look(word="Assembling", icon="loader", tone="run", spins=True),
    TaskState.REVIEW: Look(word="Waits for sign-off", icon="pen-line", tone="ink"),
    TaskState.EXECUTING: Look(word="Approved", icon="rotate-ccw", tone="ink"),
    TaskState.NEEDS_HUMAN: Look(word="Needs a person", icon="octagon-pause", tone="warn"),
    TaskState.DONE: Look(word="Done", icon="check-check", tone="ok"),
    TaskState.REJECTED: Look(word="Rejected", icon="x", tone="bad"),
    TaskState.CANCELLED: Look(word="Stopped", icon="ban", tone="muted"),
    TaskState.FAILED: Look(word="Failed", icon="x", tone="bad"),
}
_STEP = {
    StepState.WAITING: Look(word="Waits", icon="circle-dashed", tone="muted"),
    StepState.READY: Look(word="Queued", icon="circle-dashed", tone="muted"),
    StepState.LEASED: Look(word="Running", icon="loader", tone="run", spins=True),
    StepState.WAITING_HUMAN: Look(word="Needs a person", icon="octagon-pause", tone="warn"),
    StepState.DONE: Look(word="Done", icon="check", tone="ok"),
    StepState.BLOCKED: Look(word="Blocked", icon="octagon-pause", tone="warn"),
    StepState.FAILED: Look(word="Failed", icon="x", tone="bad"),
    StepState.CANCELLED: Look(word="Stopped", icon="ban", tone="muted"),
}
_APPROVAL = {
    ApprovalState.PENDING: Look(word="Waits for a signature", icon="pen-line", tone="ink"),
    ApprovalState.APPROVED: Look(word="Approved", icon="check", tone="ok"),
    ApprovalState.CHANGES_REQUESTED: Look(word="Sent back", icon="undo-2", tone="warn"),
    ApprovalState.REJECTED: Look(word="Rejected", icon="x", tone="bad"),
    ApprovalState.STALE: Look(word="Stale: main moved", icon="triangle-alert", tone="warn"),
    ApprovalState.EXPIRED: Look(word="Nobody decided in time", icon="timer-off", tone="muted"),
    ApprovalState.WITHDRAWN: Look(word="Withdrawn", icon="ban", tone="muted"),
}
# As a state it is stale, too: what was signed does not hold any more.
_EDITED = Look(word="Edited", icon="pen-line", tone="ink")
_EFFECT = {
    EffectState.PLANNED: Look(word="Planned", icon="rotate-ccw", tone="ink"),
    EffectState.DOING: Look(word="Carrying out", icon="loader", tone="run", spins=True),
    EffectState.DONE: Look(word="Carried out", icon="check-check", tone="ok"),
    EffectState.FAILED: Look(word="Failed", icon="triangle-alert", tone="bad"),
    EffectState.UNKNOWN: Look(word="Nobody can tell", icon="circle-help", tone="warn"),
    EffectState.WITHDRAWN: Look(word="Withdrawn", icon="ban", tone="muted"),
}
_BEGUN = Look(word="Begun, held", icon="octagon-pause", tone="warn")
ANSWERED = Look(word="Answered", icon="check", tone="ok")
VERDICTS = {
    "proven": Look(word="proven", icon="check", tone="ok"),
    "contradicted": Look(word="contradicted", icon="x", tone="bad"),
    "not_checkable": Look(word="not checkable", icon="circle-help", tone="warn"),
}
MEMORIES = {
    "proposed": Look(word="Proposed", icon="pen-line", tone="ink"),
    "quarantined": Look(word="Quarantined", icon="shield-alert", tone="warn"),
    "active": Look(word="Active", icon="check", tone="ok"),
    "superseded": Look(word="Replaced", icon="history", tone="muted"),
    "retired": Look(word="Retired", icon="archive", tone="muted"),
    "erased": Look(word="Forgotten", icon="trash-2", tone="muted"),
}


def of_task(task: Task, *, word: str = "") -> Look:
    """Return the look of a task, with a more telling word when the caller knows one."""
    look = _TASK[TaskState(task.state)]
    return _worded(look, word)


def of_step(step: Step, *, word: str = "") -> Look:
    """Return the look of a step."""
    return _worded(_STEP[StepState(step.state)], word or ("Left out" if step.left_out else ""))


def title_of(step: Step) -> str:
    """Return what a step does, and who asked for it when that was another step."""
    if step.asked_by is None:
        return step.title
    who = step.asked_by.agent.name
    if step.kind == StepKind.ANSWER:
        return f"Answers {who}: {step.title}"
    return f"{step.title} (added by {who})"


def of_approval(approval: Approval, *, word: str = "", edit: Edit | None = None) -> Look:
    """Return the look of an approval; `edit` is the one that ended it, if one did."""
    if edit is not None:
        return _worded(_EDITED, word)
    if approval.state == ApprovalState.STALE and not approval.main_moved:
        word = word or "Stale: not as it was signed"
    return _worded(_APPROVAL[ApprovalState(approval.state)], word)


def of_effect(effect: Any) -> Look:  # with the `hold_scope` of `deadlines.with_window`
    """Return the look of an effect; one that was begun goes no further under a hold, unless it was sent."""
    if effect.state == EffectState.DOING and effect.hold_scope and effect.sent_at is None:
        return _BEGUN
    return _EFFECT[EffectState(effect.state)]


def _worded(look: Look, word: str) -> Look:
    if not word:
        return look
    return Look(word=word, icon=look.icon, tone=look.tone, spins=look.spins)
