"""The page of one tool call that needs permission, the decision on it, and its undo. GET never decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404
from django.shortcuts import redirect
from django.views.decorators.http import require_GET

from approvals import rights
from approvals.calls import deciding, undoing, windows
from approvals.calls.exceptions import UnknownCall
from approvals.exceptions import NotAllowed
from approvals.lifecycle import CallState, CallVerdict
from approvals.models import CallApproval
from approvals.requirements import Required
from approvals.standing import granting
from countersign.console import call_page, held, just_decided, standing_form
from countersign.console.addresses import address_of
from countersign.console.posted import takes_forms
from countersign.console.rendering import page
from countersign.console.requests import text_of
from countersign.statuses import status_of
from projects.exceptions import CountersignError, InvalidInput

if TYPE_CHECKING:
    import uuid

    from django.http import HttpResponse

    from approvals.models import CallSignature
    from approvals.standing.granting import Asked
    from countersign.console.requests import PersonRequest

_ARGUMENTS = "arguments"
_CHANGED = (
    "You changed the arguments, and “Allow once” calls those the agent asked for. Nothing was decided. "
    "Choose “Allow with these arguments”, or take your change back first."
)
_EDIT = "edit"
_ALLOWING = (CallVerdict.ALLOW, _EDIT, standing_form.REMEMBER)
_ONCE = "Allowed once. The agent goes on with the answer of the tool."
_NOT_ALONE = "You have allowed it. It is called once as many tech leads as it needs have."
_LATER = "Allowed. It is called {when}; until then you can undo it."
_REMEMBERED_LATER = (
    "Allowed and remembered. It is called {when}, and further calls that fit go through from then "
    "on. Until then you can undo both."
)
_UNDONE = "Undone. Nothing was called; it waits for permission again."
_NOT_ASKED_AGAIN = (
    "Undone. Nothing was called; the tool is not offered any more, and the agent is told so."
)
_SAID: dict[str, str] = {
    CallVerdict.ALLOW: _ONCE,
    _EDIT: _ONCE,
    standing_form.REMEMBER: "Allowed and remembered. Further calls that fit go through without asking.",
    CallVerdict.REFUSE: "Refused. Nothing is called, and the agent is told your reason.",
}


@login_required
@require_GET
def call(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Show exactly what would be called."""
    return call_page.show(request, _found(request, pk))


@login_required
@require_GET
def live(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Answer a doorbell: state and notices, never a form under the hand."""
    found = _found(request, pk)
    context = call_page.context_of(request, found)
    changed = request.GET.get("shown", "") != context["shown"]
    return page(request, "calls/live.html", {**context, "changed": changed})


@login_required
@takes_forms
def decide(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Allow or refuse; what was typed survives a refusal.

    What is to be remembered is shown in words before it is agreed to: whoever set it sees it first.
    """
    found = _found(request, pk)
    verdict = request.POST.get("verdict", "")
    try:
        remember = _remembered(request, found)
        if verdict == standing_form.LOOK or (remember and not _was_shown(request, found, remember)):
            return call_page.show(request, found)
        signature = _decide(request, found, verdict, remember)
    except CountersignError as error:
        return call_page.show(request, _found(request, pk), error=error, status=status_of(error))
    messages.success(request, _said(signature, verdict))
    just_decided.keep(request, signature.approval)
    return redirect("console:call", pk)


def _said(signature: CallSignature, verdict: str) -> str:
    if signature.approval.state == CallState.PENDING:
        return _NOT_ALONE
    when = _when(signature.approval) if signature.verdict == CallVerdict.ALLOW else ""
    if when:
        said = _REMEMBERED_LATER if verdict == standing_form.REMEMBER else _LATER
        return said.format(when=when)
    return _SAID[verdict]


def _when(allowed: CallApproval) -> str:
    """Return when it is called, unless that is at once."""
    rows = windows.with_window(CallApproval.objects.filter(pk=allowed.pk))
    hold = held.until_of(rows.values_list("hold_scope", flat=True).get())
    seconds = Required.sealed(allowed.snapshot).undo_seconds
    return f"after {hold}" if hold else f"in {seconds} s" if seconds else ""


@login_required
@takes_forms
def undo(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Take the permission back inside its window; go on to where it waits again."""
    found = _found(request, pk)
    try:
        again = undoing.undo(found.pk, by=request.user, address=address_of(request))
    except CountersignError as error:
        return call_page.show(request, _found(request, pk), error=error, status=status_of(error))
    just_decided.forget(request, pk)
    messages.success(request, _UNDONE if again else _NOT_ASKED_AGAIN)
    return redirect("console:call", again.pk if again else pk)


def _decide(
    request: PersonRequest, found: CallApproval, verdict: str, remember: Asked | None
) -> CallSignature:
    if verdict in {CallVerdict.ALLOW, standing_form.REMEMBER}:
        _require_as_shown(request, found)
    return deciding.decide(
        found.pk,
        by=request.user,
        verdict=CallVerdict.ALLOW if verdict in _ALLOWING else verdict,
        digest=request.POST.get("digest", ""),
        nonce=request.POST.get("nonce", ""),
        note=text_of(request, "note"),
        edited=_arguments(request) if verdict == _EDIT else "",
        remember=remember,
        confirmation=request.POST.get("confirmation", ""),
        address=address_of(request),
    )


def _remembered(request: PersonRequest, found: CallApproval) -> Asked | None:
    """Return what is to be let through besides, if anything."""
    if request.POST.get("verdict") not in {standing_form.LOOK, standing_form.REMEMBER}:
        return None
    if refusal := rights.why_not(found, request.user):
        raise NotAllowed(refusal)
    asked = standing_form.asked_in(request.POST, found)
    granting.terms_of(found, request.user, asked)
    return asked


def _was_shown(request: PersonRequest, found: CallApproval, remember: Asked) -> bool:
    """Tell whether the page said in words what is agreed to now."""
    agreed = standing_form.name_of(granting.terms_of(found, request.user, remember))
    return request.POST.get("agreed", "") == agreed


def _require_as_shown(request: PersonRequest, found: CallApproval) -> None:
    """Refuse to call what the agent asked for when the person typed something else."""
    shown = call_page.pretty(found.snapshot["arguments"])
    if _ARGUMENTS in request.POST and text_of(request, _ARGUMENTS) != shown:
        raise InvalidInput(_ARGUMENTS, _CHANGED)


def _arguments(request: PersonRequest) -> str:
    if text := text_of(request, _ARGUMENTS):
        return text
    raise InvalidInput(_ARGUMENTS, "Write the arguments as one JSON object; for none, write {}.")


def _found(request: PersonRequest, pk: uuid.UUID) -> CallApproval:
    try:
        return deciding.find(pk, request.user)
    except UnknownCall as error:
        raise Http404 from error
