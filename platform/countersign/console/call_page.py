"""Everything the page of a tool call shows: only what was sealed, and what became of it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from approvals import presence, rights, routing
from approvals.calls import selectors
from approvals.calls.arguments import MAX_CHARACTERS
from approvals.calls.sealing import covered
from approvals.decisions import MAX_NOTE
from approvals.lifecycle import CallState, CallVerdict
from approvals.requirements import Required
from countersign.console import call_beside, call_looks, signers, spans, standing_form
from countersign.console.rendering import mine_of, page
from projects import characters

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from django.http import HttpResponse

    from approvals.models import CallApproval
    from countersign.console.call_beside import Beside
    from countersign.console.requests import PersonRequest
    from projects.models import User


def show(
    request: PersonRequest,
    call: CallApproval,
    *,
    error: Exception | None = None,
    status: int = 200,
) -> HttpResponse:
    """Render the page; after a refused decision with what was typed and why."""
    context = context_of(request, call)
    around = _around(request, call, context["ends_at"], context["clock"])
    context |= {"typed": request.POST, "error": error, **around}
    if context["may_decide"]:
        context["remember"] = standing_form.context_of(call, request.user, request.POST)
    return page(request, "calls/call.html", context, status=status)


def context_of(request: PersonRequest, call: CallApproval) -> dict[str, Any]:
    """Return the sealed facts, the state of the decision, and what this person may do."""
    sealed, user = call.snapshot, request.user
    known, more = rights.Known.of(user, call), call_beside.read(call, user)
    refusal = rights.why_not(call, user, known=known)
    left = more.decide_by - timezone.now()
    pending, overdue = call.state == CallState.PENDING, left <= timedelta()
    may_decide = pending and not refusal and not overdue
    return {
        "here": "inbox",
        "call": call,
        "sealed": sealed,
        "task": call.task,
        "agent": call.step.agent,
        "look": call_looks.look_of(call, undoable=more.undo_until is not None),
        "badge": call_looks.badge_of(sealed),
        "asked": pretty(call.snapshot["arguments"]),
        "edited": pretty(call.edited) if call.edited else "",
        "digest": covered(call),
        "schema": pretty(sealed["tool"]["schema"]),
        "hidden": hidden_in(call),
        "hidden_around": hidden_around(call),
        "pending": pending,
        "overdue": overdue,
        "ends_at": more.decide_by,
        "clock": more.clock,
        "left": max(left, timedelta()),
        "refusal": refusal,
        "result": call.call.result if not pending and not more.later else "",
        "let_through": getattr(call, "standing_use", None),
        "remembered": getattr(call, "remembered_as", None),
        "most": {"arguments": MAX_CHARACTERS, "note": MAX_NOTE},
        "may_assign": pending and not overdue and known.lead,
        "undo_until": more.undo_until,
        "hold_until": more.hold_until,
        "may_undo": more.undo_until is not None and not refusal,
        **_asked_again(more),
        **_signed(call, user, more, may=may_decide),
        **(_routed(call, user, more) if pending and not overdue else {}),
    }


def _asked_again(more: Beside) -> dict[str, Any]:
    """Return the requests before and after this one, which there are when a permission was undone."""
    return {
        "undone_before": [row for row in more.others if row not in more.later][-1:],
        "asked_again": more.later[:1],
    }


def _signed(call: CallApproval, user: User, more: Beside, *, may: bool) -> dict[str, Any]:
    """Return who has decided so far, who is still asked for, and whether this person may decide."""
    signatures, asked = more.signatures, asked_of(call, more)
    signed = any(row.signer_id == user.pk for row in signatures)
    return {
        **asked,
        "signed_by_me": signed,
        "may_decide": may,
        "may_allow": may and (asked["enough"] or not signed),  # else it may still be refused
        "may_take": may and not signed,
        # The first who allows it may change the arguments; then others allow the same.
        "edited_by": signatures[0].signer if call.edited and signatures else None,
        "shown": f"{call.state}-{len(signatures)}",
    }


def asked_of(call: CallApproval, more: Beside) -> dict[str, Any]:
    """Return the decisions on a call, and what the policy asks for besides."""
    allowing = [row for row in more.signatures if row.verdict == CallVerdict.ALLOW]
    return {
        "signatures": more.signatures,
        **signers.asked(call, allowing, more.may, more.candidates),
    }


def _around(
    request: PersonRequest, call: CallApproval, ends_at: datetime, clock: tzinfo
) -> dict[str, Any]:
    """Return which calls wait for this person before and after this one, and how to put it off."""
    before, after = selectors.neighbours(request.user, mine_of(request), call)
    return {
        "before": before,
        "after": after,
        "offers": spans.offered(call, clock, ends_at),
    }


def _routed(call: CallApproval, user: User, more: Beside) -> dict[str, Any]:
    """Return who sees to a call that waits, whom it can be given to, and for whom this person stands in."""
    return {
        "holder": more.holder,
        "others": routing.others(more.candidates, user, more.holder),
        "stands_for": presence.named(Required.sealed(call.snapshot), more.absent),
        "reminders": more.reminders,
    }


def pretty(text: str) -> str:
    """Return JSON for people: indented, as it was written otherwise."""
    return json.dumps(json.loads(text), ensure_ascii=False, indent=2)


def hidden_in(call: CallApproval) -> int:
    """Count the characters of the arguments that cannot be seen, or pass for others."""
    texts = [call.snapshot["arguments"], call.edited or "{}"]
    return _odd_in(json.dumps([json.loads(each) for each in texts], ensure_ascii=False))


def hidden_around(call: CallApproval) -> str:
    """Name where else on a call such characters stand: in names, and in what was said with it."""
    sealed = call.snapshot
    said = (
        ("the name of the tool", sealed["call"]["tool"]),
        ("the name of the server", sealed["tool"]["server"]),
        ("its address", sealed["call"]["target"]),
        ("what the tool says of itself", sealed["tool"]["description"]),
        ("the name of the agent", sealed["agent"]["name"]),
        ("the title of the step", sealed["step"]["title"]),
        ("the title of the task", sealed["task"]["title"]),
        ("the name of who asked", sealed["requester"]["name"]),
        ("what the agent said", sealed["said"]),
    )
    return ", ".join(
        place
        for place, text in said
        if characters.is_odd(text) and _odd_in(characters.without_ordinary(text))
    )


def _odd_in(text: str) -> int:
    return sum(characters.is_hidden(one) for one in text) + len(characters.scan_confusables(text))
