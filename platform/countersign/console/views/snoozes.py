"""Putting an approval off in the inbox, and taking it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from approvals import snoozing
from approvals.models import SEAL, Approval
from countersign.console.addresses import address_of
from countersign.templatetags.console import duration
from projects.exceptions import CountersignError

if TYPE_CHECKING:
    import uuid

    from django.http import HttpResponse

    from countersign.console.requests import PersonRequest


@login_required
@require_POST
def snooze(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Put an approval off for one of the spans offered, and go on with the next."""
    approval = _approval(request, pk)
    try:
        until = snoozing.after(approval, request.POST.get("for", ""))
        kept = snoozing.snooze(approval, by=request.user, until=until, address=address_of(request))
    except CountersignError as error:
        messages.error(request, str(error))
    else:
        away = duration(kept.until - kept.at)
        messages.success(
            request, f"{approval.task.label} comes back in {away}. It is under Snoozed."
        )
    return redirect("console:inbox")


@login_required
@require_POST
def wake(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Take a snooze back."""
    approval = _approval(request, pk)
    snoozing.wake(approval, by=request.user, address=address_of(request))
    messages.success(request, f"{approval.task.label} waits for you again.")
    return redirect("console:inbox")


def _approval(request: PersonRequest, pk: uuid.UUID) -> Approval:
    rows = Approval.objects.visible_to(request.user).select_related("project", "task")
    return get_object_or_404(rows.defer(*SEAL), pk=pk)
