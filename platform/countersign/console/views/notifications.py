"""The page of the bell: what a person was told, and marking it as read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET

from countersign.console.addresses import address_of
from countersign.console.posted import takes_forms
from countersign.console.rendering import mine_of, page
from notices import bell, words
from notices.models import Notification
from projects.keyset import Place

if TYPE_CHECKING:
    import uuid

    from django.http import HttpResponse

    from countersign.console.requests import PersonRequest

TABS = {"all": "All", "unread": "Unread"}


@login_required
@require_GET
def notifications(request: PersonRequest) -> HttpResponse:
    """Show what this person was told, newest first."""
    tab = request.GET.get("tab", "")
    tab = tab if tab in TABS else "all"
    listed = bell.lines(request.user.pk, mine_of(request).projects, unread=tab == "unread")
    shown = bell.page(listed, Place.of(bell.NEWEST, request.GET))
    context = {
        "here": "notifications",
        "tab": tab,
        "tabs": [(key, word, key == tab) for key, word in TABS.items()],
        "rows": [(row, words.sentence(row.notice), words.icon(row.notice)) for row in shown.rows],
        "listed": shown,
        "address": f"tab={tab}",
    }
    return page(request, "notifications/notifications.html", context)


@login_required
@takes_forms
def open_one(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Mark one as read and go to what it is about."""
    mine = Notification.objects.visible_to(request.user).filter(person=request.user)
    row = get_object_or_404(mine.select_related("notice__task"), pk=pk)
    bell.mark_read(request.user, [row.project_id], [row.pk], address=address_of(request))
    return redirect(words.path(row.notice))


@login_required
@takes_forms
def read_all(request: PersonRequest) -> HttpResponse:
    """Mark everything as read."""
    projects = mine_of(request).projects
    count = bell.mark_read(request.user, projects, None, address=address_of(request))
    said = "1 notification is" if count == 1 else f"{count:,} notifications are"
    messages.success(request, f"{said} marked as read." if count else "Nothing was unread.")
    return redirect("console:notifications")
