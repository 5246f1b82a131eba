"""Edit, then approve: one file of what waits for a signature, in a plain field."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from approvals import editing, routing
from approvals.exceptions import DecisionConflict
from countersign.console.addresses import address_of
from countersign.console.lookup import approval_or_404, of_form
from countersign.console.rendering import page
from countersign.statuses import status_of
from projects.exceptions import CountersignError

if TYPE_CHECKING:
    from django.http import HttpResponse

    from approvals.models import Approval
    from countersign.console.requests import PersonRequest

SAVED = "Saved as your commit. It is checked anew; then the new version waits for a signature here."


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: PersonRequest, number: int, round_number: int) -> HttpResponse:
    """Show a file to be edited; on POST put the edit on top and have the whole checked anew."""
    newest = approval_or_404(request.user, number, round_number)
    if request.method != "POST":
        return _show(request, newest, request.GET.get("path", ""))
    approval = of_form(request, newest)
    path, text = request.POST.get("path", ""), request.POST.get("text", "")
    try:
        editing.edit(
            approval,
            by=request.user,
            digest=request.POST.get("digest", ""),
            path=path,
            text=text,
            address=address_of(request),
        )
    except CountersignError as error:
        return _show(request, approval, path, typed=text, error=error)
    messages.success(request, SAVED)
    return redirect("console:review", number, round_number)


def _show(
    request: PersonRequest,
    approval: Approval,
    path: str,
    *,
    typed: str | None = None,
    error: CountersignError | None = None,
) -> HttpResponse:
    """Render the field; what was typed is never lost, whatever became of the approval."""
    words = ""
    try:
        words = editing.open_file(approval, path, by=request.user).words
        editing.require_open(approval, approval.digest)
    except CountersignError as refused:
        error = error or refused
    text = words if typed is None else typed
    context = {
        "here": "inbox",
        "approval": approval,
        "task": approval.task,
        "path": path,
        "text": text,
        "may_edit": typed is not None or not error,
        "alone_if_raised": not error and not routing.may_sign_raised(approval, request.user),
        "error": error,
        "too_late": isinstance(error, DecisionConflict),
    }
    return page(request, "review/edit.html", context, status=status_of(error) if error else 200)
