"""Everything the page of a tool call shows: only what was sealed, and what became of it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from approvals import deadlines, rights, snoozing
from approvals.calls import selectors
from approvals.calls.arguments import MAX_CHARACTERS
from approvals.decisions import MAX_NOTE
from approvals.lifecycle import CallState
from approvals.models import CallApproval
from countersign.console import call_looks, standing_form
from countersign.console.rendering import mine_of, page
from projects import characters

if TYPE_CHECKING:
    from django.http import HttpResponse

    from countersign.console.requests import PersonRequest


def show(
    request: PersonRequest,
    call: CallApproval,
    *,
    error: Exception | None = None,
    status: int = 200,
) -> HttpResponse:
    """Render the page; after a refused decision with what was typed and why."""
    context = context_of(request, call)
    context |= {"typed": request.POST, "error": error, **_around(request, call)}
    if context["may_decide"]:
        context["remember"] = standing_form.context_of(call, request.POST)
    return page(request, "calls/call.html", context, status=status)


def context_of(request: PersonRequest, call: CallApproval) -> dict[str, Any]:
    """Return the sealed facts, the state of the decision, and what this person may do."""
    sealed, refusal = call.snapshot, rights.why_not(call, request.user)
    left = _deadline(call) - timezone.now()
    pending = call.state == CallState.PENDING
    return {
        "here": "inbox",
        "call": call,
        "sealed": sealed,
        "task": call.task,
        "agent": call.step.agent,
        "look": call_looks.look_of(call),
        "badge": call_looks.badge_of(sealed),
        "asked": pretty(call.snapshot["arguments"]),
        "edited": pretty(call.edited) if call.edited else "",
        "schema": pretty(sealed["tool"]["schema"]),
        "hidden": hidden_in(call),
        "pending": pending,
        "overdue": left <= timedelta(),
        "left": max(left, timedelta()),
        "refusal": refusal,
        "may_decide": pending and not refusal and left > timedelta(),
        "result": call.call.result if call.finished_at or not pending else "",
        "let_through": getattr(call, "standing_use", None),
        "remembered": getattr(call, "remembered_as", None),
        "most": {"arguments": MAX_CHARACTERS, "note": MAX_NOTE},
    }


def _around(request: PersonRequest, call: CallApproval) -> dict[str, Any]:
    """Return which calls wait for this person before and after this one, and how to put it off."""
    before, after = selectors.neighbours(request.user, mine_of(request), call)
    return {
        "before": before,
        "after": after,
        "offers": snoozing.offers(call, timezone.now()),
    }


def pretty(text: str) -> str:
    """Return JSON for people: indented, as it was written otherwise."""
    return json.dumps(json.loads(text), ensure_ascii=False, indent=2)


def _deadline(call: CallApproval) -> Any:
    found = CallApproval.objects.filter(pk=call.pk).annotate(held_for=deadlines.held_for())
    return call.expires_at + found.values_list("held_for", flat=True).get()


def hidden_in(call: CallApproval) -> int:
    """Count the characters of the arguments that cannot be seen, or pass for others."""
    texts = [call.snapshot["arguments"], call.edited or "{}"]
    text = json.dumps([json.loads(each) for each in texts], ensure_ascii=False)
    return sum(characters.is_hidden(one) for one in text) + len(characters.scan_confusables(text))
