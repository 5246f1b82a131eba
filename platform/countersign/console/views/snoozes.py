"""Putting an approval or a call off in the inbox, and taking it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect
from django.utils.text import capfirst

from approvals import snoozing
from approvals.models import Snooze
from countersign.console.addresses import address_of, back_of
from countersign.console.decidable import approval_of, call_of, named
from countersign.console.posted import takes_forms
from countersign.templatetags.console import duration
from notices import quiet
from projects.exceptions import CountersignError

if TYPE_CHECKING:
    import uuid

    from django.http import HttpResponse

    from approvals.models import CallSnooze
    from approvals.rights import Decidable
    from countersign.console.requests import PersonRequest


@login_required
@takes_forms
def snooze(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Put an approval off for one of the spans offered, and go on with the next."""
    return _snoozed(request, approval_of(request, pk))


@login_required
@takes_forms
def wake(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Take a snooze back."""
    return _woken(request, approval_of(request, pk))


@login_required
@takes_forms
def call_snooze(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Put a call off."""
    return _snoozed(request, call_of(request, pk))


@login_required
@takes_forms
def call_wake(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Take the snooze of a call back."""
    return _woken(request, call_of(request, pk))


def _snoozed(request: PersonRequest, found: Decidable) -> HttpResponse:
    try:
        kept = snoozing.put_off(
            found,
            request.POST.get("for", ""),
            by=request.user,
            clock=quiet.clock_of(request.user),
            address=address_of(request),
        )
    except CountersignError as error:
        messages.error(request, str(error))
    else:
        back = _back(kept)
        messages.success(
            request, f"{capfirst(named(found))} comes back {back}. It is under Snoozed."
        )
    return redirect(back_of(request))


def _back(kept: Snooze | CallSnooze) -> str:
    away = duration(kept.until - kept.at)
    if isinstance(kept, Snooze) and kept.main_moves:
        return f"when main moves, in {away} at the latest"
    return f"in {away}"


def _woken(request: PersonRequest, found: Decidable) -> HttpResponse:
    snoozing.wake(found, by=request.user, address=address_of(request))
    messages.success(request, f"{capfirst(named(found))} waits for you again.")
    return redirect(back_of(request))
