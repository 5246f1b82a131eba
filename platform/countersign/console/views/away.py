"""Being out of office, said on the settings page and ended from every page."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect
from django.utils.dateparse import parse_date

from approvals import absences
from countersign.console import away_form, drafts
from countersign.console.addresses import address_of, inside
from countersign.console.posted import takes_forms
from countersign.console.rendering import mine_of
from projects.exceptions import CountersignError, InvalidInput

if TYPE_CHECKING:
    from django.http import HttpResponse

    from countersign.console.requests import PersonRequest


@login_required
@takes_forms
def leave(request: PersonRequest) -> HttpResponse:
    """Be out of office from the first to the last day named, in UTC."""
    try:
        absence = absences.leave(
            request.user,
            begins_at=_day(request, "first"),
            ends_at=_day(request, "last") + timedelta(days=1),
            delegates=_delegates(request),
            address=address_of(request),
        )
    except CountersignError as error:
        drafts.keep(request, "away", away_form.typed(request.POST, mine_of(request)))
        messages.error(request, str(error))
    else:
        last = away_form.last_day(absence)
        said = f"You are out of office up to and including {last.day} {last:%B %Y}."
        messages.success(request, said)
    return redirect("console:settings")


@login_required
@takes_forms
def back(request: PersonRequest) -> HttpResponse:
    """Be back at once, or stay after all."""
    if absences.come_back(request.user, address=address_of(request)):
        messages.success(request, "You are back. Nobody stands in for you any more.")
    return redirect(inside(request, request.POST.get("next")))


def _day(request: PersonRequest, name: str) -> datetime:
    try:
        day = parse_date(request.POST.get(name, ""))
    except ValueError:
        day = None
    if day is None or not 2000 < day.year < 3000:
        raise InvalidInput(name, "Name the first and the last day, as 2026-12-24.")
    return datetime.combine(day, time(), UTC)


def _delegates(request: PersonRequest) -> dict[uuid.UUID, uuid.UUID]:
    chosen = {
        name.removeprefix(away_form.DELEGATE): str(value)
        for name, value in request.POST.items()
        if name.startswith(away_form.DELEGATE) and value
    }
    try:
        return {uuid.UUID(project): uuid.UUID(person) for project, person in chosen.items()}
    except ValueError as error:
        raise InvalidInput("delegates", "Choose another tech lead of the project.") from error
