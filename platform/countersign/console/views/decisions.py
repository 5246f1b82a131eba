"""The acts of the review page: decide, undo, put up again. GET never decides."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect

from approvals import deciding, freshness, reproposing, reverting, undoing
from approvals.decisions import HunkDecision
from approvals.exceptions import StaleApproval
from approvals.lifecycle import ApprovalState, SignatureVerdict
from approvals.models import HunkVerdict
from countersign.console import held, just_decided
from countersign.console.addresses import address_of
from countersign.console.line_forms import said_of_lines
from countersign.console.lookup import approval_or_404, of_form
from countersign.console.posted import takes_forms
from countersign.console.requests import text_of
from countersign.console.review_page import show
from countersign.statuses import status_of
from projects.exceptions import CountersignError

if TYPE_CHECKING:
    from django.http import HttpResponse
    from django.http.response import HttpResponseBase

    from approvals.models import Approval, Signature
    from countersign.console.requests import PersonRequest

MORE = "more"  # no verdict: one more field for a comment, with all that was typed
_SAID = {
    SignatureVerdict.APPROVE: "Approved. Your name is on the signature line.",
    SignatureVerdict.REQUEST_CHANGES: "Sent back. The agents named begin the next round.",
    SignatureVerdict.REJECT: "Rejected. The reason is kept with the task.",
}
_NOT_ALONE = "Signed. Nothing is carried out yet: it waits for another signature."
_SAID_HELD = {
    SignatureVerdict.APPROVE: "Approved. It is carried out when {until}.",
    SignatureVerdict.REQUEST_CHANGES: "Sent back. The next round begins when {until}.",
}


@login_required
@takes_forms
def decide(request: PersonRequest, number: int, round_number: int) -> HttpResponseBase:
    """Sign: approve, request changes or reject; what was typed survives a refusal."""
    approval = _found(request, number, round_number)
    verdict = request.POST.get("verdict", "")
    if verdict == MORE:
        return show(request, approval)
    try:
        signature = deciding.decide(
            approval.pk,
            by=request.user,
            verdict=verdict,
            digest=request.POST.get("digest", ""),
            nonce=request.POST.get("nonce", ""),
            note=text_of(request, "note"),
            hunks=_hunks(request, approval),
            comments=said_of_lines(request.POST),
            agents=request.POST.getlist("agents"),
            lesson=text_of(request, "lesson"),
            keep_lesson=request.POST.get("keep_lesson") == "on",
            confirmation=request.POST.get("confirmation", ""),
            address=address_of(request),
        )
    except CountersignError as error:
        # As it is now: the refusal may have ended it, and so may somebody who was faster.
        approval = _found(request, number, round_number)
        return show(request, approval, error=error, status=status_of(error))
    messages.success(request, _said(signature))
    just_decided.keep(request, signature.approval)
    return redirect("console:review", number, round_number)


@login_required
@takes_forms
def undo(request: PersonRequest, number: int, round_number: int) -> HttpResponse:
    """Take an approval back inside its window."""
    approval = _found(request, number, round_number)
    try:
        undoing.undo(approval, by=request.user, address=address_of(request))
        messages.success(request, "Undone. Nothing was merged; the proposal waits again.")
        just_decided.forget(request, approval.pk)
    except CountersignError as error:
        messages.error(request, str(error))
    return redirect("console:review", number, round_number)


@login_required
@takes_forms
def revert(request: PersonRequest, number: int, round_number: int) -> HttpResponse:
    """Put a change up that takes a merged one back."""
    approval = approval_or_404(request.user, number, round_number)
    try:
        made = reverting.revert(approval, by=request.user, address=address_of(request))
    except CountersignError as error:
        messages.error(request, str(error))
        return redirect("console:review", number, round_number)
    messages.success(
        request, f"{made.label} takes it back. It is checked now, and waits for a signature then."
    )
    return redirect("console:task", made.number)


@login_required
@takes_forms
def again(request: PersonRequest, number: int, round_number: int) -> HttpResponse:
    """Put the work up again: on main as it is now, or after the time to decide ran out."""
    approval = approval_or_404(request.user, number, round_number)
    try:
        # Whoever may not put it up again must not end it either, by a look at main.
        reproposing.newest(approval, by=request.user)
        if approval.state == ApprovalState.PENDING:
            _mark_if_stale(request, approval)
        if approval.state == ApprovalState.EXPIRED:
            reproposing.request_again(approval, by=request.user, address=address_of(request))
            messages.success(request, "It waits for a signature again.")
            return redirect("console:review", number, round_number)
        reproposing.propose_again(approval, by=request.user, address=address_of(request))
        messages.success(request, "The work is merged onto main as it is now and checked again.")
    except CountersignError as error:
        messages.error(request, str(error))
    return redirect("console:task", number)


def _mark_if_stale(request: PersonRequest, approval: Approval) -> None:
    with suppress(StaleApproval):
        freshness.require_unmoved_main(approval, by=request.user, address=address_of(request))
    approval.refresh_from_db()


def _found(request: PersonRequest, number: int, round_number: int) -> Approval:
    """Return the approval the form was drawn for, else the newest of the round."""
    return of_form(request, approval_or_404(request.user, number, round_number))


def _hunks(request: PersonRequest, approval: Approval) -> list[HunkDecision]:
    ids = [hunk["id"] for file in approval.snapshot["files"] for hunk in file["hunks"]]
    said = (_hunk(request, key) for key in ids)
    return [hunk for hunk in said if hunk.verdict or hunk.note]


def _hunk(request: PersonRequest, key: str) -> HunkDecision:
    verdict = request.POST.get(f"verdict-{key}", "")
    return HunkDecision(
        id=key,
        verdict=verdict,
        note=text_of(request, f"note-{key}"),
        # The page says of what is accepted that its note is sent to nobody.
        goes_to="" if verdict == HunkVerdict.ACCEPT else request.POST.get(f"to-{key}", ""),
    )


def _said(signature: Signature) -> str:
    if signature.approval.state == ApprovalState.PENDING:
        return _NOT_ALONE
    verdict = SignatureVerdict(signature.verdict)
    hold = held.over(signature.approval.task)
    if hold is None or verdict not in _SAID_HELD:
        return _SAID[verdict]
    return _SAID_HELD[verdict].format(until=held.until(hold))
