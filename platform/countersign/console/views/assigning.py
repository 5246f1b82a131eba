"""Saying in the inbox, or on a review page, who sees to an approval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from approvals import routing
from approvals.models import Approval
from countersign.console.addresses import address_of, inside
from projects.exceptions import CountersignError

if TYPE_CHECKING:
    import uuid

    from django.http import HttpResponse

    from countersign.console.requests import PersonRequest


@login_required
@require_POST
def assign(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Let the person named see to an approval; without a name, claim it."""
    approval, address = _approval(request, pk), address_of(request)
    try:
        if to := request.POST.get("to", ""):
            held = routing.assign(approval, to, by=request.user, address=address)
        else:
            held = routing.claim(approval, by=request.user, address=address)
    except CountersignError as error:
        messages.error(request, str(error))
    else:
        who = "You see" if held.holder == request.user else f"{held.holder.display_name} sees"
        messages.success(request, f"{who} to {approval.task.label} now.")
    return _back(request)


@login_required
@require_POST
def release(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Give an approval back."""
    approval = _approval(request, pk)
    if routing.release(approval, by=request.user, address=address_of(request)):
        messages.success(
            request, f"You gave {approval.task.label} back. All who may sign are asked."
        )
    else:
        messages.error(request, f"You do not hold {approval.task.label}, so nothing was changed.")
    return _back(request)


def _approval(request: PersonRequest, pk: uuid.UUID) -> Approval:
    rows = Approval.objects.visible_to(request.user).select_related("project", "task")
    return get_object_or_404(rows, pk=pk)


def _back(request: PersonRequest) -> HttpResponse:
    return redirect(inside(request, request.POST.get("next") or reverse("console:inbox")))
