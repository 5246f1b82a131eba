"""Calls of tools as the inbox shows them, and a closer look at one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from agents.models import Agent, Task
from approvals import snoozing
from approvals.lifecycle import CALL_UNDECIDED, CallState
from approvals.models import CallApproval
from countersign.console import call_looks, call_page
from countersign.console.inbox_rows import urgency
from projects.models import User

if TYPE_CHECKING:
    from datetime import datetime

    from countersign.console.looks import Look

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
    look: Look
    urgency: str
    left: timedelta
    decision: str  # unless the look says it
    task: Task
    agent: Agent
    decided_by: User | None
    asleep_until: datetime | None
    is_call: bool = True


def row_of(call: Any) -> CallRow:  # with the sealed facts selectors load beside it
    """Return a call as a row."""
    left, look, decision = call.until - timezone.now(), call_looks.look_of(call), _decision(call)
    return CallRow(
        approval=call,
        look=look,
        urgency=urgency(left),
        left=max(left, timedelta()),
        decision="" if decision == look.word else decision,
        task=Task(number=call.task_number, title=call.task_title),
        agent=Agent(name=call.agent_name, colour=call.agent_colour, icon=call.agent_icon),
        decided_by=_decider(call),
        asleep_until=call.asleep_until,
    )


def closer_look(user: User, row: CallRow) -> dict[str, Any]:
    """Return one call with its seal, for the pane beside the list."""
    found = CallApproval.objects.visible_to(user).select_related(
        "task", "project", "requester", "step__agent", "decided_by", "call"
    )
    call = found.get(pk=row.approval.pk)
    return {
        "call": call,
        "sealed": call.snapshot,
        "row": row,
        "why": _WHY[call.risk],
        "asked": _capped(call_page.pretty(call.snapshot["arguments"])),
        "edited": _capped(call_page.pretty(call.edited)) if call.edited else None,
        "result": _capped(call.call.result) if call.state not in CALL_UNDECIDED else None,
        "hidden": call_page.hidden_in(call),
        "pending": call.state == CallState.PENDING,
        "offers": snoozing.offers(call, timezone.now()),
        **call_page.signatures_of(call),
    }


def _capped(text: str) -> tuple[str, int]:
    """Return the beginning of a text, and how many characters are not shown."""
    return text[:_MOST], max(0, len(text) - _MOST)


def _decider(call: Any) -> User | None:
    if call.decided_by_id is None:
        return None
    names = {name: getattr(call, f"by_{name}") for name in ("username", "first_name", "last_name")}
    return User(**names)


def _decision(call: Any) -> str:
    if call.state in CALL_UNDECIDED:
        return ""
    if call.state == CallState.REFUSED:
        return "Refused"
    if call.beforehand:
        return "Allowed by a standing grant"
    return "Allowed with other arguments" if call.changed else "Allowed"
