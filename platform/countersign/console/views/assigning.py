"""Saying in the inbox, or on their pages, who sees to an approval or to a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect

from approvals import routing
from approvals.models import CallApproval
from countersign.console.addresses import address_of, back_of
from countersign.console.decidable import approval_of, call_of, named
from countersign.console.posted import takes_forms
from projects.exceptions import CountersignError

if TYPE_CHECKING:
    import uuid

    from django.http import HttpResponse

    from approvals.rights import Decidable
    from countersign.console.requests import PersonRequest


@login_required
@takes_forms
def assign(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Let the person named see to an approval; without a name, claim it."""
    return _assigned(request, approval_of(request, pk))


@login_required
@takes_forms
def release(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Give an approval back."""
    return _released(request, approval_of(request, pk))


@login_required
@takes_forms
def call_assign(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Let the person named see to a call; without a name, claim it."""
    return _assigned(request, call_of(request, pk))


@login_required
@takes_forms
def call_release(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Give a call back."""
    return _released(request, call_of(request, pk))


def _assigned(request: PersonRequest, found: Decidable) -> HttpResponse:
    address = address_of(request)
    try:
        if to := request.POST.get("to", ""):
            held = routing.assign(found, to, by=request.user, address=address)
        else:
            held = routing.claim(found, by=request.user, address=address)
    except CountersignError as error:
        messages.error(request, str(error))
    else:
        who = "You see" if held.holder == request.user else f"{held.holder.display_name} sees"
        messages.success(request, f"{who} to {named(found)} now.")
    return redirect(back_of(request))


def _released(request: PersonRequest, found: Decidable) -> HttpResponse:
    if routing.release(found, by=request.user, address=address_of(request)):
        may = "decide" if isinstance(found, CallApproval) else "sign"
        messages.success(request, f"You gave {named(found)} back. All who may {may} are asked.")
    else:
        messages.error(request, f"You do not hold {named(found)}, so nothing was changed.")
    return redirect(back_of(request))
