"""What a person sets for themselves: theme, single keys, notifications."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET

from countersign.console import away_form, drafts, pace, preferences
from countersign.console.addresses import address_of, inside
from countersign.console.posted import takes_forms
from countersign.console.rendering import mine_of, page
from notices import choosing
from projects import preferring
from projects.exceptions import InvalidInput
from projects.models import Role

if TYPE_CHECKING:
    from countersign.console.requests import PersonRequest
    from projects.across import Mine
    from projects.models import Project

_NEXT_THEME = {"light": "dark", "dark": "light"}


@login_required
@require_GET
def settings_page(request: PersonRequest) -> HttpResponse:
    """Show a person's own settings and which model is in use."""
    typed, mine = drafts.take(request, "away", "notifications"), mine_of(request)
    context = {
        "here": "settings",
        "model": settings.COUNTERSIGN_MODEL,
        "roles": _roles(mine_of(request)),
        **away_form.shown(request.user, mine, typed.get("away", {})),
        **preferences.shown(request.user, mine, typed.get("notifications", {})),
    }
    return page(request, "settings/settings.html", context)


def _roles(mine: Mine) -> list[tuple[Project, str]]:
    return [
        (project, Role.LEAD.label if project.pk in mine.led else Role.REQUESTER.label)
        for project in mine.named
    ]


@login_required
@takes_forms
def notifications(request: PersonRequest) -> HttpResponse:
    """Set what this person is told of, how, and when not."""
    chosen = preferences.chosen(request.POST, mine_of(request))
    try:
        hours = preferences.hours(request.POST)
        with transaction.atomic():
            choosing.choose(request.user, chosen, address=address_of(request))
            choosing.keep_quiet(request.user, hours, address=address_of(request))
    except InvalidInput as error:
        typed = preferences.typed(request.POST, mine_of(request))
        drafts.keep(request, "notifications", typed)
        messages.error(request, f"Nothing was saved. {error}")
    else:
        messages.success(request, "Your notifications are saved.")
    return redirect(f"{reverse('console:settings')}#notifications")


@login_required
@takes_forms
def theme(request: PersonRequest) -> HttpResponse:
    """Set the theme, or switch to the other one."""
    chosen = request.POST.get("theme", "switch")
    if chosen == "switch":
        chosen = _NEXT_THEME.get(request.user.theme or request.POST.get("shown", ""), "dark")
    if chosen in {"", "light", "dark"}:
        preferring.choose_theme(by=request.user, theme=chosen, address=address_of(request))
    if request.htmx:
        return HttpResponse(status=204)
    return redirect(inside(request, request.POST.get("next")))


@login_required
@takes_forms
def single_keys(request: PersonRequest) -> HttpResponse:
    """Switch single-key shortcuts on or off."""
    on = request.POST.get("single_keys") == "on"
    preferring.switch_single_keys(by=request.user, on=on, address=address_of(request))
    messages.success(request, "Single keys are on." if on else "Single keys are off.")
    return redirect("console:settings")


@login_required
@takes_forms
def pace_put_away(request: PersonRequest) -> HttpResponse:
    """Say nothing more of how quickly this person approved so far."""
    pace.put_away(request)
    return redirect(inside(request, request.POST.get("next")))
