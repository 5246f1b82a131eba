"""The pages of standing grants: what goes through without asking, and the end of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET

from approvals.models import Standing, StandingGrant, StandingUse
from approvals.standing.exceptions import UnknownGrant
from approvals.standing.revoking import revoke as end
from approvals.standing.selectors import shown
from countersign.console import held, standing_words
from countersign.console.addresses import address_of, inside
from countersign.console.posted import takes_forms
from countersign.console.rendering import mine_of, page
from projects import keyset
from projects.across import Across
from projects.exceptions import CountersignError
from projects.keyset import Order, Place

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection

    from django.http import HttpResponse

    from countersign.console.requests import PersonRequest

TABS = {"in-force": "In force", "ended": "Ended"}
NEWEST = Order()
_AT_ONCE = 30
_USES = 50
_REVOCABLE = (Standing.ACTIVE, Standing.USED_UP)  # of one used up a call may wait to be sent


@login_required
@require_GET
def standing_grants(request: PersonRequest) -> HttpResponse:
    """List those of this person's projects, newest first."""
    tab = request.GET.get("tab", "")
    tab = tab if tab in TABS else "in-force"
    rows, mine = StandingGrant.objects.all(), mine_of(request)
    listed = keyset.page(
        Across(rows=rows.ended() if tab == "ended" else rows.in_force(), projects=mine.projects),
        lambda rows: shown(rows),  # type: ignore[arg-type]  # of that model
        order=NEWEST,
        place=Place.of(NEWEST, request.GET),
        limit=_AT_ONCE,
    )
    context = {
        "here": "inbox",
        "tab": tab,
        "tabs": [(key, word, key == tab) for key, word in TABS.items()],
        "grants": [_shown(grant, mine.led) for grant in listed.rows],
        "listed": listed,
        "address": f"tab={tab}",
    }
    return page(request, "standing/grants.html", context)


@login_required
@require_GET
def standing_grant(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Show one, and the calls it let through."""
    grant = get_object_or_404(shown(StandingGrant.objects.visible_to(request.user)), pk=pk)
    uses = StandingUse.objects.filter(grant=grant).select_related("approval__task")
    uses = uses.defer("approval__snapshot", "approval__edited").order_by("-number")
    facts = _shown(grant, mine_of(request).led)
    context = {"here": "inbox", **facts, "uses": uses[:_USES], "most_uses": _USES}
    return page(request, "standing/grant.html", context)


@login_required
@takes_forms
def revoke(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Revoke one, and go back to where the person was."""
    try:
        end(pk, by=request.user, address=address_of(request))
    except UnknownGrant as error:
        raise Http404 from error
    except CountersignError as error:
        messages.error(request, str(error))
    else:
        said = "Calls like it wait for a person again, also those that were not sent yet."
        grant = shown(StandingGrant.objects.all()).get(pk=pk)
        messages.success(request, f"Revoked: {grant.tool} at {grant.server_name}. {said}")
    return redirect(inside(request, request.POST.get("next")))


def _shown(grant: Any, led: Collection[uuid.UUID]) -> dict[str, Any]:
    return {
        "grant": grant,
        "look": standing_words.look_of(grant),
        "lines": standing_words.of_grant(grant),
        "in_force": grant.state == Standing.ACTIVE,
        "hold_until": held.until_of(grant.hold_scope),
        "may_revoke": grant.project_id in led and grant.state in _REVOCABLE,
    }
