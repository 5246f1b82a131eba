"""Calls of tools as the inbox shows them, and a closer look at one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from agents.models import Agent, Task
from approvals import presence, rights
from approvals.lifecycle import CALL_UNDECIDED, CallState
from approvals.models import CallApproval, CallAssignment
from approvals.requirements import Required
from countersign.console import call_beside, call_looks, call_page, held, signers, spans
from countersign.console.inbox_rows import urgency
from projects.models import User

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime
    from uuid import UUID

    from countersign.console.looks import Look
    from projects.across import Mine

_MOST = 1_500  # characters of arguments and of an answer beside a list
_WHY = {
    "low": "The tool says that it only reads.",
    "medium": "The tool writes; called twice with the same arguments it does it once.",
    "high": "The tool writes, and what it does cannot be taken back from here.",
}


@dataclass(frozen=True, kw_only=True)
class CallRow:
    """One call in the inbox."""

    approval: CallApproval
    key: str
    look: Look
    urgency: str
    left: timedelta
    decision: str  # unless the look says it
    task: Task
    agent: Agent
    decided_by: User | None
    asleep_until: datetime | None
    held: CallAssignment | None = None
    undo_until: datetime | None = None
    hold_until: str = ""  # what it waits for meanwhile, if a hold keeps it from being called
    may_undo: bool = False
    stands_for: tuple[str, ...] = ()  # absent people a rule names, whose delegate this person is
    is_call: bool = True


def row_of(call: Any) -> CallRow:  # with the sealed facts selectors load beside it
    """Return a call as a row."""
    left, decision = call.until - timezone.now(), _decision(call)
    look = call_looks.look_of(call, undoable=call.may_be_undone)
    return CallRow(
        approval=call,
        key=str(call.pk),
        look=look,
        urgency=urgency(left),
        left=max(left, timedelta()),
        decision="" if decision == look.word else decision,
        task=Task(number=call.task_number, title=call.task_title),
        agent=Agent(name=call.agent_name, colour=call.agent_colour, icon=call.agent_icon),
        decided_by=_decider(call),
        asleep_until=call.asleep_until,
        undo_until=call.undo_until if call.may_be_undone else None,
        hold_until=held.until_of(call.hold_scope),
    )


def undoable_by(user: User, mine: Mine, calls: Iterable[Any]) -> set[UUID]:
    """Return the keys of those calls whose permission this person would be let undo."""
    return rights.may_each([call for call in calls if call.may_be_undone], user, mine)


def row_of_allowed(call: Any, undoable: Collection[UUID]) -> CallRow:
    """Return a call somebody decided on, with whether its permission may be undone by who looks."""
    return replace(row_of(call), may_undo=call.pk in undoable)


def waiting_row(call: Any, absent: presence.Absent) -> CallRow:
    """Return a call that waits, with who sees to it, and for whom this person may allow it."""
    required = Required.sealed({"policy": call.policy})
    stands_for = presence.named(required, absent.get(call.project_id, {}))
    return replace(row_of(call), held=_held(call), stands_for=stands_for)


def closer_look(user: User, mine: Mine, row: CallRow) -> dict[str, Any]:
    """Return one call with its seal, for the pane beside the list."""
    found = CallApproval.objects.visible_to(user).select_related(
        "task", "project", "requester", "step__agent", "decided_by", "call"
    )
    call = found.get(pk=row.approval.pk)
    more, pending = call_beside.read(call, user), call.state == CallState.PENDING
    lead = pending and call.project_id in mine.led
    return {
        "call": call,
        "sealed": call.snapshot,
        "row": row,
        "why": _WHY[call.risk],
        "asked": _capped(call_page.pretty(call.snapshot["arguments"])),
        "edited": _capped(call_page.pretty(call.edited)) if call.edited else None,
        "result": _capped(call.call.result) if call.state not in CALL_UNDECIDED else None,
        "hidden": call_page.hidden_in(call),
        "hidden_around": call_page.hidden_around(call),
        "pending": pending,
        "undo_until": more.undo_until,
        "hold_until": more.hold_until,
        "may_undo": more.undo_until is not None and row.may_undo,
        "offers": spans.offered(call, more.clock, more.decide_by),
        **call_page.asked_of(call, more),
        **signers.assignable(more.candidates, more.holder, user, lead=lead),
    }


def _capped(text: str) -> tuple[str, int]:
    """Return the beginning of a text, and how many characters are not shown."""
    return text[:_MOST], max(0, len(text) - _MOST)


def _decider(call: Any) -> User | None:
    return None if call.decided_by_id is None else _person(call, "by")


def _held(call: Any) -> CallAssignment | None:
    if call.held_by is None:
        return None
    holder = _person(call, "held_by", pk=call.held_by)
    return CallAssignment(approval=call, holder=holder, alone_until=call.held_alone_until)


def _person(call: Any, under: str, **facts: Any) -> User:
    names = ("username", "first_name", "last_name")
    return User(**facts, **{name: getattr(call, f"{under}_{name}") for name in names})


def _decision(call: Any) -> str:
    if call.state in CALL_UNDECIDED:
        return ""
    if call.state == CallState.REFUSED:
        return "Refused"
    if call.beforehand:
        return "Allowed by a standing grant"
    return "Allowed with other arguments" if call.changed else "Allowed"
